"""Proposals and detections, against the functions of Detectron2 that they stand for."""

import pytest
import torch
from detectron2.modeling.proposal_generator.proposal_utils import find_top_rpn_proposals
from detectron2.modeling.roi_heads.fast_rcnn import fast_rcnn_inference
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fgfa.export.nms import exportable_nms, nms
from fgfa.export.selection import select_detections, select_proposals

SIZE = (60, 90)
seeds = st.integers(0, 2**31)


def make_boxes(count: int, generator: torch.Generator, columns: int = 1) -> Tensor:
    """Boxes (count, columns * 4) around the image; some are not finite, some have no area."""
    corners = torch.rand(count, columns, 2, 2, generator=generator) * 120 - 20
    corners = corners.sort(dim=2).values.round()
    boxes = corners.flatten(1)
    boxes[torch.rand(count, generator=generator) < 0.1, 0] = torch.inf
    boxes[torch.rand(count, generator=generator) < 0.1, 1] = torch.nan
    return boxes


@settings(deadline=None)
@given(seeds, st.integers(1, 60), st.sampled_from([5, 40]), st.sampled_from([3, 50]))
def test_proposals_are_those_of_detectron2(seed: int, count: int, pre: int, post: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    boxes, logits = make_boxes(count, generator), torch.randn(count, generator=generator)
    (expected,) = find_top_rpn_proposals(
        [boxes[None]], [logits[None]], [SIZE], 0.5, pre, post, 4.0, False
    )
    options = {"pre_nms_topk": pre, "post_nms_topk": post, "min_box_size": 4.0}
    result = select_proposals(boxes, logits, image_size=SIZE, nms_thresh=0.5, **options)
    assert torch.equal(result, expected.proposal_boxes.tensor)


@settings(deadline=None)
@given(seeds, st.integers(1, 60), st.booleans(), st.sampled_from([-1, 4, 500]), st.booleans())
def test_detections_are_those_of_detectron2(
    seed: int, count: int, by_class: bool, topk: int, none: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    classes = 3
    boxes = make_boxes(count, generator, classes if by_class else 1)
    scores = torch.randn(count, classes + 1, generator=generator).softmax(dim=1)
    threshold = 1.0 if none else 0.1
    (expected,), _ = fast_rcnn_inference([boxes], [scores], [SIZE], threshold, 0.4, topk)
    result = select_detections(
        boxes, scores, image_size=SIZE, score_thresh=threshold, nms_thresh=0.4, topk=topk
    )
    assert torch.equal(result[0], expected.pred_boxes.tensor)
    assert torch.equal(result[1], expected.scores)
    assert torch.equal(result[2], expected.pred_classes)


class Kept(torch.nn.Module):
    """The NMS of boxes above a score: any number of them, also none."""

    def forward(self, boxes: Tensor, scores: Tensor) -> Tensor:
        chosen = (scores > 0.5).nonzero().squeeze(1)
        return boxes[chosen][nms(boxes[chosen], scores[chosen], 0.5)]


class KeptByTorchvision(torch.nn.Module):
    """The same in code that calls torchvision itself."""

    def forward(self, boxes: Tensor, scores: Tensor) -> Tensor:
        import torchvision

        chosen = (scores > 0.5).nonzero().squeeze(1)
        return boxes[chosen][torchvision.ops.nms(boxes[chosen], scores[chosen], 0.5)]


@pytest.mark.parametrize("program", [Kept(), KeptByTorchvision()])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_exported_nms_takes_any_number_of_boxes(program: torch.nn.Module) -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    with exportable_nms():
        exported = torch.export.export(program, (boxes, torch.rand(3))).module()
    for scores, kept in (
        ([0.1, 0.2, 0.3], []),
        ([0.6, 0.2, 0.3], [0]),
        ([0.6, 0.7, 0.3], [1]),
        ([0.6, 0.7, 0.8], [2, 1]),
    ):
        assert torch.equal(exported(boxes, torch.tensor(scores)), boxes[kept])
