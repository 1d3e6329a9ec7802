"""Which boxes of two frames are the same object."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from fgfa.evaluation.boxes import iou


def match_boxes(
    before: np.ndarray,
    classes_before: np.ndarray,
    boxes: np.ndarray,
    classes: np.ndarray,
    min_iou: float,
) -> dict[int, int]:
    """Pairs boxes of one class, each with at most one other, so that the total IoU is largest.

    Args:
        before: (M, 4), x1 y1 x2 y2 in pixels.
        classes_before: (M,).
        boxes: (N, 4), of another frame.
        classes: (N,).
        min_iou: the least IoU (+1 widths) of a pair.

    Returns:
        For the index of each paired box of `boxes` that of its partner in `before`.
    """
    overlaps = iou(before[:, None], boxes)
    fits = (classes_before[:, None] == classes) & (overlaps >= min_iou)
    pairs = linear_sum_assignment(np.where(fits, overlaps, 0.0), maximize=True)
    return {box: partner for partner, box in np.transpose(pairs).tolist() if fits[partner, box]}
