"""Box geometry with the pixel-inclusive (+1) widths of the original."""

import numpy as np
import torch
from torchvision.ops import nms


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


def keep_after_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Indices, best score first, that greedy NMS keeps; a box goes at IoU > threshold.

    Args:
        boxes: shape (N, 4), x1 y1 x2 y2 in pixels, all of one class.
        scores: shape (N,).
        threshold: IoU, +1 widths.
    """
    # The far corner moved by one pixel gives torchvision's widths the original's +1.
    inclusive = torch.as_tensor(boxes + np.array([0.0, 0.0, 1.0, 1.0]))
    return nms(inclusive, torch.as_tensor(scores, dtype=inclusive.dtype), threshold).numpy()
