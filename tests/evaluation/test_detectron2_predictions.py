from pathlib import Path

import pytest
import torch
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from detectron2.structures import Boxes, Instances

from fgfa.errors import InputError
from fgfa.evaluation.detectron2_predictions import read_detectron2_predictions


class Trap:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_what_coco_evaluator_saves(tmp_path: Path, zipped):
    instances = Instances((100, 100))
    instances.pred_boxes = Boxes(torch.tensor([[1.5, 2, 30, 40], [0, 0, 9, 9]]))
    instances.scores = torch.tensor([0.75, 0.5])
    instances.pred_classes = torch.tensor([0, 29])
    frames = [
        {"image_id": 3, "instances": []},
        {"image_id": 4, "instances": instances_to_coco_json(instances, 4)},
    ]
    path = tmp_path / "instances_predictions.pth"
    torch.save(frames, path, _use_new_zipfile_serialization=zipped)
    read = read_detectron2_predictions(path, 30)
    assert read.image_ids.tolist() == [4, 4]
    assert read.classes.tolist() == [0, 29]
    assert read.scores.tolist() == [0.75, 0.5]
    assert read.boxes.tolist() == [[1.5, 2, 30, 40], [0, 0, 9, 9]]


def test_code_is_not_run(tmp_path: Path):
    path = tmp_path / "instances_predictions.pth"
    torch.save([Trap(tmp_path / "trace")], path)
    with pytest.raises(InputError, match="holds more than plain values"):
        read_detectron2_predictions(path, 30)
    assert not (tmp_path / "trace").exists()


def test_unknown_class(tmp_path: Path):
    path = tmp_path / "instances_predictions.pth"
    result = {"image_id": 4, "category_id": 30, "bbox": [0, 0, 9, 9], "score": 0.5}
    torch.save([{"image_id": 4, "instances": [result]}], path)
    with pytest.raises(InputError, match=r"detection 0 \(from 0\) has category_id 30; .* 0\.\.29"):
        read_detectron2_predictions(path, 30)


@pytest.mark.parametrize(
    "content", [5, {"model": torch.ones(2)}, [5], [{"image_id": 3}], [torch.ones(2)], torch.ones(2)]
)
def test_other_things(tmp_path: Path, content):
    path = tmp_path / "instances_predictions.pth"
    torch.save(content, path)
    with pytest.raises(InputError, match="has no list of frames with `instances`"):
        read_detectron2_predictions(path, 30)


def test_broken_file(tmp_path: Path):
    path = tmp_path / "instances_predictions.pth"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match="is broken"):
        read_detectron2_predictions(path, 30)
