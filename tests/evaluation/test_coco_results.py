import json
from pathlib import Path

import numpy as np
import pytest

from fgfa.errors import InputError
from fgfa.evaluation import coco_results
from fgfa.evaluation.coco_results import read_coco_results, write_coco_results
from fgfa.evaluation.records import Detections

RESULT = {"image_id": 7, "category_id": 12, "bbox": [1.5, 2, 30, 40], "score": 0.1 + 0.2}
CATEGORY_IDS = [5, 12]


def _read(folder: Path, content: object) -> Detections:
    path = folder / "results.json"
    path.write_text(json.dumps(content))
    return read_coco_results(path, CATEGORY_IDS)


def test_boxes_become_corners(tmp_path: Path):
    read = _read(tmp_path, [RESULT, {**RESULT, "category_id": 5, "image_id": 2}])
    assert read.image_ids.tolist() == [7, 2]
    assert read.classes.tolist() == [1, 0]
    assert read.scores.tolist() == [0.1 + 0.2] * 2
    assert read.boxes.tolist() == [[1.5, 2, 31.5, 42]] * 2


def test_other_keys_and_objects_inside_are_skipped(tmp_path: Path):
    mask = {"size": [9, 9], "counts": "abc"}
    read = _read(tmp_path, [{**RESULT, "segmentation": mask, "track": None}])
    assert read.image_ids.tolist() == [7]


def test_what_is_written_has_full_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coco_results, "_CHUNK", 2)
    detections = Detections(
        np.arange(5), np.array([0, 1, 0, 1, 0]), np.arange(5) / 7, np.arange(20).reshape(5, 4) / 4
    )
    path = tmp_path / "results.json"
    write_coco_results(path, detections, CATEGORY_IDS)
    assert json.loads(path.read_text())[1] == {
        "image_id": 1,
        "category_id": 12,
        "bbox": [1.0, 1.25, 0.5, 0.5],
        "score": 1 / 7,
    }
    read = read_coco_results(path, CATEGORY_IDS)
    for name in ("image_ids", "classes", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(detections, name))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"category_id": 1}, r"has category_id 1; the 2 classes have 5\.\.12"),
        ({"category_id": [5]}, "expected a whole number `image_id`"),
        ({"image_id": "7"}, "expected a whole number `image_id`"),
        ({"image_id": 7.0}, "expected a whole number `image_id`"),
        ({"image_id": 2**70}, "expected a whole number `image_id`"),
        ({"bbox": [1, 2, 3]}, "expected a whole number `image_id`"),
        ({"bbox": 5}, "expected a whole number `image_id`"),
        ({"bbox": [1, 2, 3, "4"]}, "expected a whole number `image_id`"),
        ({"score": None}, "expected a whole number `image_id`"),
        ({"score": float("nan")}, "has a number that is not finite"),
        ({"bbox": [1, 2, float("inf"), 4]}, "has a number that is not finite"),
    ],
)
def test_bad_results_are_named(tmp_path: Path, change, problem):
    with pytest.raises(InputError, match=rf"results\.json: detection 1 \(from 0\) .*{problem}"):
        _read(tmp_path, [RESULT, {**RESULT, **change}, RESULT])


@pytest.mark.parametrize("key", RESULT)
def test_missing_keys(tmp_path: Path, key):
    result = {name: value for name, value in RESULT.items() if name != key}
    with pytest.raises(InputError, match=r"results\.json"):
        _read(tmp_path, [RESULT, result])


@pytest.mark.parametrize(
    "content", [{}, {"annotations": [RESULT]}, [RESULT, 5], [[RESULT]], RESULT]
)
def test_json_of_other_things(tmp_path: Path, content):
    with pytest.raises(InputError, match="is not a JSON list of COCO results"):
        _read(tmp_path, content)


def test_cut_json(tmp_path: Path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([RESULT, RESULT])[:-20])
    with pytest.raises(InputError, match="is not a complete JSON file"):
        read_coco_results(path, CATEGORY_IDS)
