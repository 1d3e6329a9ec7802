"""Box geometry with the pixel-inclusive (+1) widths of the original."""

import numpy as np


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas, pixels, of boxes (..., 4) as x1 y1 x2 y2, both corners inside: width = x2 - x1 + 1."""
    return (boxes[..., 2] - boxes[..., 0] + 1) * (boxes[..., 3] - boxes[..., 1] + 1)


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, elementwise after broadcasting.

    Args:
        boxes: shape (..., 4), x1 y1 x2 y2 in pixels.
        others: shape (..., 4), the same. `iou(a[:, None], b)` is the matrix of all pairs.

    Returns:
        IoU in [0, 1], the broadcast shape without its last axis; 0 for boxes that do not meet, also
        where one ends before it begins.
    """
    corner = np.minimum(boxes[..., 2:], others[..., 2:])
    sides = np.maximum(corner - np.maximum(boxes[..., :2], others[..., :2]) + 1, 0)
    intersection = sides[..., 0] * sides[..., 1]
    union = area(boxes) + area(others) - intersection
    # Boxes that end before they begin meet none, but can bring the union to 0.
    return intersection / np.where(intersection > 0, union, 1)
