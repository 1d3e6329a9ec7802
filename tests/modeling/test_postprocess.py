"""Boxes on their way back to the pixels of frames."""

import pytest
import torch
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Boxes, Instances
from hypothesis import given
from hypothesis import strategies as st

from fgfa.modeling.postprocess import postprocess, to_frame_pixels

# The second is one pixel wide, the third ends behind the image.
CORNERS = [[1.0, 2.0, 99.0, 49.0], [30.0, 5.0, 30.0, 9.0], [50.0, 20.0, 101.0, 49.0]]
SIZE = (50, 100)


def make_instances(corners: list[list[float]] = CORNERS) -> Instances:
    count = len(corners)
    return Instances(
        SIZE,
        pred_boxes=Boxes(torch.tensor(corners).reshape(-1, 4)),
        scores=torch.linspace(1, 0.5, count),
        pred_classes=torch.arange(count),
    )


def test_factor_divides_boxes_and_keeps_them_all():
    result = to_frame_pixels(make_instances(), 90, 199, image_scale=0.5)
    assert result.pred_boxes.tensor.tolist() == [[2 * x for x in box] for box in CORNERS]
    assert result.image_size == (90, 199)
    assert result.scores.tolist() == make_instances().scores.tolist()
    assert result.pred_classes.tolist() == [0, 1, 2]


def test_instances_are_not_changed_by_a_factor():
    instances = make_instances()
    to_frame_pixels(instances, 90, 199, image_scale=0.5)
    assert instances.pred_boxes.tensor.tolist() == CORNERS
    assert instances.image_size == SIZE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_type_of_boxes_is_kept(dtype: torch.dtype):
    instances = make_instances()
    instances.pred_boxes.tensor = instances.pred_boxes.tensor.to(dtype) / 3
    result = to_frame_pixels(instances, 720, 1280, image_scale=0.7).pred_boxes.tensor
    assert result.dtype == dtype
    assert torch.equal(result, instances.pred_boxes.tensor / 0.7)


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_without_a_factor_it_is_detectron2s(height: int, width: int):
    result = to_frame_pixels(make_instances(), height, width)
    expected = detector_postprocess(make_instances(), height, width)
    assert len(result) == 2
    assert result.image_size == (height, width)
    assert torch.equal(result.pred_boxes.tensor, expected.pred_boxes.tensor)


def test_no_detections():
    result = to_frame_pixels(make_instances([]), 90, 199, image_scale=0.5)
    assert result.pred_boxes.tensor.shape == (0, 4)


def test_batch_takes_each_frames_own_values():
    items = [{"height": 25, "width": 50, "image_scale": 2.0}, {"height": 100, "width": 200}, {}]
    outputs = postprocess([make_instances() for _ in items], items)
    results = [output["instances"] for output in outputs]
    assert [r.image_size for r in results] == [(25, 50), (100, 200), SIZE]
    assert [len(r) for r in results] == [3, 2, 2]
    lefts = [r.pred_boxes.tensor[0, 0].item() for r in results]
    assert lefts == [0.5, 2.0, 1.0]
