"""torchvision's non-maximum suppression, in exported programs."""

import contextlib
from collections.abc import Iterator
from unittest.mock import patch

import torch
import torchvision
from torch import Tensor

# torchvision tells torch.export that at least two boxes are kept, and the program then insists on
# them. These two are always kept, and last.
_FAR_AWAY = ((-2e4, -2e4, -2e4 + 1, -2e4 + 1), (-4e4, -4e4, -4e4 + 1, -4e4 + 1))

_torchvision_nms = torchvision.ops.nms


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Does what `torchvision.ops.nms` does; exported, it takes any number of boxes, also none.

    Args:
        boxes: shape (N, 4), XYXY, above -1e4.
        scores: shape (N,), finite.
        iou_threshold: IoU above which the lower-scored of two boxes is dropped.

    Returns:
        Indices of what is kept, best first.
    """
    boxes = torch.cat([boxes, boxes.new_tensor(_FAR_AWAY)])
    scores = torch.cat([scores, scores.new_full((len(_FAR_AWAY),), -torch.inf)])
    return _torchvision_nms(boxes, scores, iou_threshold)[: -len(_FAR_AWAY)]


@contextlib.contextmanager
def exportable_nms() -> Iterator[None]:
    """Lets the calls of `torchvision.ops.nms` inside of a model take any number of boxes."""
    with patch.object(torchvision.ops, "nms", nms):
        yield
