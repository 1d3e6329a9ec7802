"""Box arithmetic of the original, in which a corner is a pixel: x1 to x2 is x2 - x1 + 1 wide.

Detectron2's corners are positions between pixels, so its boxes reach from x1 to x2. To move the far
corner by one pixel turns a box of the original into one of Detectron2, with the same sides; where
only sides and overlaps count, this is how Detectron2's and torchvision's functions are used here.

Sources: `bbox/bbox_transform.py` and `nms/nms.py` of the original.
"""

from collections.abc import Sequence

import torch
import torchvision
from torch import Tensor


class LegacyBox2BoxTransform:
    """Detectron2's `Box2BoxTransform` with widths of x2 - x1 + 1, and without limit on growth.

    Functions `nonlinear_transform` and `nonlinear_pred` of the original.
    """

    def __init__(self, weights: Sequence[float], dtype: torch.dtype = torch.float64) -> None:
        """
        Args:
            weights: factors on the deltas dx, dy, dw and dh; the inverse of the original's
                BBOX_STDS.
            dtype: in which boxes are decoded.
        """
        self.weights = tuple(weights)
        self.dtype = dtype

    def get_deltas(self, src_boxes: Tensor, target_boxes: Tensor) -> Tensor:
        """Deltas (N, 4) that take boxes to others, both (N, 4), XYXY in pixels."""
        centers, sides = _centers_and_sides(src_boxes.double())
        target_centers, target_sides = _centers_and_sides(target_boxes.double())
        shift = (target_centers - centers) / sides
        growth = (target_sides / sides).log()
        deltas = torch.cat([shift, growth], dim=1).to(src_boxes.dtype)
        return deltas * deltas.new_tensor(self.weights)

    def apply_deltas(self, deltas: Tensor, boxes: Tensor) -> Tensor:
        """Moves boxes by deltas.

        Args:
            deltas: shape (N, 4).
            boxes: shape (N, 4), XYXY in pixels.

        Returns:
            Boxes (N, 4) of `dtype`. Steps and their order are those of the original, whose NMS is
            decided by the last digits.
        """
        centers, sides = _centers_and_sides(boxes.to(self.dtype))
        deltas = deltas.float() * boxes.new_tensor([1 / weight for weight in self.weights])
        centers = centers + deltas[:, :2] * sides
        # PyTorch's float32 exponential may miss the nearest number; the rounded double does not.
        growth = deltas[:, 2:].double().exp().to(self.dtype)
        reach = (growth * sides - 1) / 2
        return torch.cat([centers - reach, centers + reach], dim=1)


def clip_boxes(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Moves the corners of boxes (N, 4) to the nearest pixel of an image of (height, width)."""
    height, width = image_size
    return boxes.clamp(min=0).minimum(
        boxes.new_tensor([width - 1, height - 1, width - 1, height - 1])
    )


def box_sides(boxes: Tensor) -> Tensor:
    """Widths and heights (N, 2), pixels, of boxes (N, 4)."""
    return boxes[:, 2:] - boxes[:, :2] + 1


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU (N, M) of boxes (N, 4) with others (M, 4)."""
    return torchvision.ops.box_iou(_past_the_last_pixel(boxes), _past_the_last_pixel(others))


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Greedy non-maximum suppression; of equal scores the first box comes first.

    Args:
        boxes: shape (N, 4), XYXY in pixels.
        scores: shape (N,).
        threshold: a box is dropped where its IoU with a better one is above.

    Returns:
        Indices of what is kept, best first.
    """
    return torchvision.ops.nms(_past_the_last_pixel(boxes), scores.to(boxes.dtype), threshold)


def _past_the_last_pixel(boxes: Tensor) -> Tensor:
    return boxes + boxes.new_tensor([0, 0, 1, 1])


def _centers_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, box_sides(boxes)
