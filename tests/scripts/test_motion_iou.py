import json
import runpy
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa.errors import InputError
from fgfa.evaluation.motion_iou_file import read_motion_iou

SCRIPT = Path(__file__).parents[2] / "scripts" / "motion_iou.py"
main = runpy.run_path(str(SCRIPT))["main"]

NAME = "motion_iou_script_test"
BOX, SHIFTED = [0, 0, 9, 9], [5, 0, 14, 9]


@pytest.fixture(autouse=True)
def dataset():
    """Two boxes of one track, which share a third of their union, and an empty frame; ids 2..4."""
    frames = [
        {
            "file_name": f"{index:06d}.JPEG",
            "image_id": 2 + index,
            "video_id": "video",
            "frame_index": index,
            "annotations": [{"bbox": box, "track_id": 0} for box in boxes],
        }
        for index, boxes in enumerate([[BOX], [], [SHIFTED]])
    ]
    DatasetCatalog.register(NAME, lambda: frames)
    MetadataCatalog.get(NAME).set(thing_classes=["cat"])
    yield
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def test_json(tmp_path: Path):
    main(["--dataset", NAME, "--output", str(tmp_path / "motion.json")])
    values = json.loads((tmp_path / "motion.json").read_text())
    assert values == {"2": [pytest.approx(1 / 3)], "3": [], "4": [pytest.approx(1 / 3)]}


def test_mat_has_a_row_for_each_id_from_one(tmp_path: Path):
    main(["--dataset", NAME, "--output", str(tmp_path / "motion.mat")])
    rows = [values.tolist() for values in read_motion_iou(tmp_path / "motion.mat")]
    assert rows == [[], [pytest.approx(1 / 3)], [], [pytest.approx(1 / 3)]]


@pytest.mark.parametrize("image_id", [0, 20261130120000])
def test_mat_has_no_row_for_other_ids(image_id: int, tmp_path: Path):
    DatasetCatalog.get(NAME)[0]["image_id"] = image_id
    with pytest.raises(InputError, match=rf"row for each image_id .* has ({image_id}|3)\.\."):
        main(["--dataset", NAME, "--output", str(tmp_path / "motion.mat")])
    main(["--dataset", NAME, "--output", str(tmp_path / "motion.json")])
    assert str(image_id) in json.loads((tmp_path / "motion.json").read_text())


def test_other_suffixes(tmp_path: Path):
    with pytest.raises(InputError, match=r"motion\.txt: give a path that ends in \.json or \.mat"):
        main(["--dataset", NAME, "--output", str(tmp_path / "motion.txt")])
    assert not list(tmp_path.iterdir())


def test_track_ids_are_guessed_on_request(tmp_path: Path):
    frames = DatasetCatalog.get(NAME)
    frames[1]["annotations"] = [{"bbox": BOX, "track_id": 0}]
    for frame in frames:
        for box in frame["annotations"]:
            del box["track_id"]
            box["category_id"] = 0
    with pytest.raises(InputError, match="no track id"):
        main(["--dataset", NAME, "--output", str(tmp_path / "motion.json")])
    main(["--dataset", NAME, "--link-tracks", "--output", str(tmp_path / "motion.json")])
    values = json.loads((tmp_path / "motion.json").read_text())
    # The third box overlaps the second by a third, which makes it another track.
    assert values == {"2": [1.0], "3": [1.0], "4": [1.0]}
