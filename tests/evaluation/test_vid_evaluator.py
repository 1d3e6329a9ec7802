import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import print_csv_format, verify_results
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm

from fgfa.errors import InputError
from fgfa.evaluation import ImageNetVIDEvaluator
from fgfa.evaluation.motion_iou_file import write_motion_iou
from fgfa.evaluation.prediction_file import read_predictions

A, B, FAR = [0, 0, 99, 99], [0, 200, 99, 299], [300, 300, 350, 350]


@pytest.fixture
def register():
    names = []

    def register(frames: list[dict], class_names=("cat", "dog", "fox")) -> str:
        name = f"vid_evaluator_test_{len(names)}"
        DatasetCatalog.register(name, lambda: frames)
        MetadataCatalog.get(name).set(thing_classes=list(class_names))
        names.append(name)
        return name

    yield register
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture
def two_frames(make_frames) -> list[dict]:
    """A cat that stays (motion IoU 1) and a dog that leaps (motion IoU 0)."""
    leap = [[0, 200, 99, 299], [0, 400, 99, 499]]
    return make_frames([[(A, 0, 0), (box, 1, 1)] for box in leap])


def _output(*rows) -> dict:
    """An output of the model from (box, score, class)."""
    instances = Instances((500, 500))
    instances.pred_boxes = Boxes(torch.tensor([row[0] for row in rows]).reshape(-1, 4).float())
    instances.scores = torch.tensor([row[1] for row in rows], dtype=torch.float32)
    instances.pred_classes = torch.tensor([row[2] for row in rows], dtype=torch.int64)
    return {"instances": instances}


def _evaluate(evaluator, frames, outputs):
    evaluator.reset()
    evaluator.process(frames, outputs)
    return evaluator.evaluate()["bbox"]


OUTPUTS = [_output((A, 0.9, 0), (B, 0.8, 1)), _output((A, 0.7, 0), (FAR, 0.6, 0), (FAR, 0.95, 1))]


def test_numbers(register, two_frames):
    results = _evaluate(ImageNetVIDEvaluator(register(two_frames)), two_frames, OUTPUTS)
    nan = float("nan")
    expected = {
        "AP50": 62.5,  # cats 1, dogs 1 of 2 behind a false positive
        "AP50-slow": 100.0,  # cats only
        "AP50-medium": nan,
        # The dog's false positive overlaps nothing: weight 1/2, the share out of range.
        "AP50-fast": 100 * (1 / 1.5) / 2,
        "AP50-cat": 100.0,
        "AP50-dog": 25.0,
        "AP50-fox": nan,
    }
    assert list(results) == list(expected)
    assert results == pytest.approx(expected, nan_ok=True)


def test_files(register, two_frames, tmp_path: Path):
    evaluator = ImageNetVIDEvaluator(register(two_frames), tmp_path / "new")
    results = _evaluate(evaluator, two_frames, OUTPUTS)
    lines = (tmp_path / "new" / "detections.txt").read_text().splitlines()
    assert lines[0] == "1 1 0.9000 0.00 0.00 99.00 99.00"
    assert len(lines) == 5
    written = json.loads((tmp_path / "new" / "results.json").read_text())["bbox"]
    assert written["AP50"] == results["AP50"]
    assert written["AP50-medium"] is None


@pytest.mark.parametrize("seq_nms", [False, True])
def test_box_that_ends_where_it_begins_is_a_pixel_wide(
    register, make_frames, tmp_path: Path, seq_nms: bool
):
    post = [50, 20, 50, 99]
    frames = make_frames([[(post, 0, 0)], [(post, 0, 0)]])
    outputs = [_output((post, score, 0), (FAR, 0.1, 1)) for score in (0.8, 0.6)]
    for output in outputs:
        output["instances"].pred_boxes.tensor = output["instances"].pred_boxes.tensor.double()
    evaluator = ImageNetVIDEvaluator(register(frames), tmp_path, seq_nms=seq_nms)
    assert _evaluate(evaluator, frames, outputs)["AP50-cat"] == 100
    scores = (0.7, 0.7) if seq_nms else (0.8, 0.6)
    lines = (tmp_path / "detections.txt").read_text().splitlines()
    for image_id, score in enumerate(scores, start=1):
        assert f"{image_id} 1 {score:.4f} 50.00 20.00 50.00 99.00" in lines


def test_duplicate_frames_count_once(register, two_frames):
    evaluator = ImageNetVIDEvaluator(register(two_frames))
    once = _evaluate(evaluator, two_frames, OUTPUTS)
    twice = _evaluate(evaluator, [*two_frames, two_frames[1]], [*OUTPUTS, OUTPUTS[1]])
    assert twice == pytest.approx(once, nan_ok=True)


def test_ranks_are_gathered(register, two_frames, monkeypatch):
    name = register(two_frames)
    alone = _evaluate(ImageNetVIDEvaluator(name, distributed=False), two_frames, OUTPUTS)
    ranks = [ImageNetVIDEvaluator(name) for _ in range(2)]
    sent = []
    monkeypatch.setattr(comm, "gather", lambda frames, dst: sent.append(frames) or sent)
    # Both ranks have seen the second frame, as a sampler pads.
    monkeypatch.setattr(comm, "is_main_process", lambda: False)
    ranks[1].process(two_frames[1:], OUTPUTS[1:])
    assert ranks[1].evaluate() is None
    monkeypatch.setattr(comm, "is_main_process", lambda: True)
    ranks[0].process(two_frames, OUTPUTS)
    assert ranks[0].evaluate()["bbox"] == pytest.approx(alone, nan_ok=True)


def test_reset_forgets(register, two_frames):
    evaluator = ImageNetVIDEvaluator(register(two_frames))
    _evaluate(evaluator, two_frames, OUTPUTS)
    assert _evaluate(evaluator, two_frames, [_output(), _output()])["AP50"] == 0


def test_missing_frames_are_told_and_count_as_empty(register, two_frames, caplog):
    evaluator = ImageNetVIDEvaluator(register(two_frames))
    with caplog.at_level(logging.WARNING):
        results = _evaluate(evaluator, two_frames[:1], OUTPUTS[:1])
    assert "1 of 2 frames" in caplog.text
    assert results["AP50-cat"] == 50.0


def test_table_is_logged(register, two_frames, caplog):
    with caplog.at_level(logging.INFO):
        _evaluate(ImageNetVIDEvaluator(register(two_frames)), two_frames, OUTPUTS)
    (table,) = [r.getMessage() for r in caplog.records if "AP50 by motion" in r.getMessage()]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[1:]]
    assert cells[0] == ["", "AP50", "slow", "medium", "fast"]
    assert cells[2] == ["mean", "62.50", "100.00", "nan", "33.33"]
    assert [row[0] for row in cells[3:]] == ["cat", "dog"]


def test_works_with_the_tools_of_detectron2(register, two_frames, caplog):
    evaluator = ImageNetVIDEvaluator(register(two_frames))
    evaluator.process(two_frames, OUTPUTS)
    results = evaluator.evaluate()
    with caplog.at_level(logging.INFO):
        print_csv_format(results)
    assert "62.5000" in caplog.text
    cfg = get_cfg()
    cfg.TEST.EXPECTED_RESULTS = [["bbox", "AP50-slow", 100.0, 0.01]]
    assert verify_results(cfg, results)


def test_frames_without_outputs_are_counted(register, two_frames):
    evaluator = ImageNetVIDEvaluator(register(two_frames))
    assert "frames-left-out" not in _evaluate(evaluator, two_frames, OUTPUTS)
    assert _evaluate(evaluator, two_frames[1:], OUTPUTS[1:])["frames-left-out"] == 1


def test_motion_from_a_file(register, two_frames, tmp_path: Path):
    path = tmp_path / "motion.mat"
    write_motion_iou(path, [np.array([0.3, 0.8]), np.array([0.4, 0.8])])
    evaluator = ImageNetVIDEvaluator(register(two_frames), motion_iou=path)
    results = _evaluate(evaluator, two_frames, OUTPUTS)
    assert results["AP50-fast"] == 100.0
    assert np.isnan(results["AP50-slow"])


def test_motion_file_of_other_frames(register, two_frames, tmp_path: Path):
    path = tmp_path / "motion.mat"
    write_motion_iou(path, [np.array([0.3, 0.8])])
    with pytest.raises(InputError, match=r"000001\.JPEG has image_id 2, outside"):
        ImageNetVIDEvaluator(register(two_frames), motion_iou=path)


def test_without_track_ids_there_are_no_motion_groups(register, make_frames, caplog):
    frames = make_frames([[(A, 0, None)]])
    with caplog.at_level(logging.WARNING):
        evaluator = ImageNetVIDEvaluator(register(frames))
    assert caplog.text.count("without track ids") == 1
    results = _evaluate(evaluator, frames, OUTPUTS[:1])
    assert results["AP50"] == 100.0
    assert np.isnan([results[f"AP50-{motion}"] for motion in ("slow", "medium", "fast")]).all()


def test_seq_nms(register, two_frames):
    """The boxes before NMS: the second frame's cat wins by the first one's."""
    raw = [
        _output((A, 0.9, 0), ([5, 0, 104, 99], 0.2, 0)),
        _output((A, 0.2, 0), (FAR, 0.3, 0), ([5, 0, 104, 99], 0.1, 0)),
    ]
    name = register(two_frames)
    plain = _evaluate(ImageNetVIDEvaluator(name), two_frames, raw)
    rescored = _evaluate(ImageNetVIDEvaluator(name, seq_nms=True), two_frames, raw)
    assert plain["AP50-cat"] == pytest.approx(100 * (1 / 2 + 2 / 4 / 2))
    assert rescored["AP50-cat"] == 100.0


@pytest.mark.parametrize("seq_nms", [False, True])
def test_raw_boxes_are_saved_with_seq_nms(register, two_frames, tmp_path: Path, seq_nms: bool):
    evaluator = ImageNetVIDEvaluator(
        register(two_frames), tmp_path, seq_nms=seq_nms, save_raw_boxes=True
    )
    outputs = [_output((A, 0.123456789, 0), (A, 0.1, 0)), _output((A, 0.5, 0))]
    _evaluate(evaluator, two_frames, outputs)
    path = tmp_path / "raw_detections.txt"
    assert path.exists() == seq_nms
    if seq_nms:
        raw = read_predictions(path, 3)
        assert raw.image_ids.tolist() == [1, 1, 2]
        assert raw.scores.tolist() == np.array([0.123456789, 0.1, 0.5], np.float32).tolist()
