"""The comparison of an exported model with its model."""

import pytest
import torch

from fgfa.errors import InputError
from fgfa.export import Comparison, Tolerance

BOXES = torch.tensor([[0.0, 0, 10, 10], [5, 5, 20, 30], [40, 40, 50, 50]])
SCORES, CLASSES = torch.tensor([0.9, 0.5, 0.3]), torch.tensor([0, 1, 0])


def compare(boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor) -> Comparison:
    comparison = Comparison(Tolerance(), min_score=0.1)
    comparison.add_detections((boxes, scores, classes), (BOXES, SCORES, CLASSES))
    return comparison


def test_equal_detections_pass_in_any_order() -> None:
    order = torch.tensor([2, 0, 1])
    comparison = compare(BOXES[order], SCORES[order], CLASSES[order])
    assert (comparison.box, comparison.score, comparison.detections) == (0, 0, 6)
    comparison.check("it")


def test_detections_of_low_score_are_not_missed() -> None:
    extra = (torch.cat([BOXES, BOXES[:1] + 30]), torch.cat([SCORES, torch.tensor([0.01])]))
    compare(*extra, torch.cat([CLASSES, torch.tensor([1])])).check("it")


@pytest.mark.parametrize(
    ("boxes", "scores", "classes", "sentence"),
    [
        (BOXES + 0.2, SCORES, CLASSES, "box by 0.2"),
        (BOXES, SCORES + 0.01, CLASSES, "score by 0.01"),
        (BOXES, SCORES, torch.tensor([0, 2, 0]), "box by inf"),
        (BOXES[:2], SCORES[:2], CLASSES[:2], "box by 40"),
        (BOXES[:0], SCORES[:0], CLASSES[:0], "box by inf"),
        (BOXES * torch.nan, SCORES, CLASSES, "box by nan"),
    ],
)
def test_a_difference_is_named(
    boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor, sentence: str
) -> None:
    with pytest.raises(InputError, match=f"^it differs from the model \\({sentence}"):
        compare(boxes, scores, classes).check("it")


@pytest.mark.parametrize("value", [1.001, torch.nan])
def test_cached_tensors_are_compared(value: float) -> None:
    comparison = Comparison(Tolerance(), 0.1)
    comparison.add_frame([torch.tensor([10.0 * value, 0])], [torch.tensor([10.0, 0])])
    comparison.add_frame([torch.ones(2)], [torch.ones(2)])
    with pytest.raises(InputError, match="feature"):
        comparison.check("it")
    assert "2 frames" in str(comparison)
