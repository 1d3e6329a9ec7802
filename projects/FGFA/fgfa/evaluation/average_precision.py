"""Average precision by the rules of the original (`--protocol msra`; imagenet_vid_eval_motion.py).

What differs from the usual PASCAL VOC evaluation, and the effect of each:

* The IoU a ground-truth box asks for is min(0.5, wh / ((w + 10)(h + 10))): small boxes are easier.
* Boxes include both corner pixels (+1 widths).
* A detection takes the free box of its class with the highest IoU, not the box with the highest
  IoU of all: where the best box is taken, the second best still makes a true positive.
* Matching ignores the motion and area ranges. A detection matched to a box out of range counts as
  neither true nor false positive, and keeps the box from other detections.
* An unmatched detection weighs by its surroundings: fully where the box (of any class) that it
  overlaps most is in the motion range, not at all where that box is out of range. At a tie, as
  where it overlaps nothing, it weighs the share of boxes *out of range* in the frame (the share in
  range seems to be meant), and in a frame without boxes the share of boxes in range in the set.
* For that last share, each frame without boxes counts as a box of motion IoU 0: false positives in
  empty frames weigh a little more for fast objects and less for others.
* Area ranges look at the box of a true positive and at the detection of a false one.
* Ranges are closed at both ends: a box at an end belongs to both groups.

The original sorts with numpy's default, unstable sort, so that ties in the score fall by chance
(up to 0.03 of a class's AP). Here they keep the order of frames in the list, then of rows.
"""

from collections.abc import Sequence

import numpy as np

from fgfa.evaluation.matching import ALL_AREAS, ALL_MOTION, Matches, Range, match
from fgfa.evaluation.records import Detections, GroundTruth


def average_precision(
    ground_truth: GroundTruth,
    detections: Detections,
    num_classes: int,
    *,
    motion_iou: np.ndarray | None = None,
    population: np.ndarray | None = None,
    motion_ranges: Sequence[Range] = (ALL_MOTION,),
    area_ranges: Sequence[Range] = (ALL_AREAS,),
) -> np.ndarray:
    """Average precision of each class for each range of motion and area.

    Args:
        ground_truth: the boxes of all frames.
        detections: detections in any order; those of other frames are left out.
        num_classes: C; classes are 0..C-1.
        motion_iou: see `match`, as for the next two.
        population: shape (P,).
        motion_ranges: M closed ranges of motion IoU.
        area_ranges: A closed ranges of box area, pixels.

    Returns:
        AP in [0, 1], float64, shape (M, A, C); NaN where no box of the class is in range.
    """
    matches = match(
        ground_truth,
        detections,
        motion_iou=motion_iou,
        population=population,
        motion_ranges=motion_ranges,
    )
    return ap_from_matches(matches, num_classes, area_ranges)


def ap_from_matches(
    matches: Matches, num_classes: int, area_ranges: Sequence[Range] = (ALL_AREAS,)
) -> np.ndarray:
    """`average_precision` of detections that have been matched: shape (M, A, C)."""
    rows_by_class = best_first_by_class(matches.detections, num_classes)
    result = np.full((len(matches.in_motion), len(area_ranges), num_classes), np.nan)
    for m in range(len(matches.in_motion)):
        for a, bounds in enumerate(area_ranges):
            boxes, true, false = matches.counted(m, bounds)
            positives = np.bincount(matches.ground_truth.classes[boxes], minlength=num_classes)
            for c in np.flatnonzero(positives):
                rows = rows_by_class[c]
                result[m, a, c] = precision_at_hits(true[rows], false[rows]).sum() / positives[c]
    return result


def best_first_by_class(detections: Detections, num_classes: int) -> list[np.ndarray]:
    """Rows of each class's detections by falling score; ties keep their order."""
    by_class = [np.flatnonzero(detections.classes == c) for c in range(num_classes)]
    return [rows[np.argsort(-detections.scores[rows], kind="stable")] for rows in by_class]


def precision_at_hits(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    """Envelope of the precision at each true positive: the highest there or at a higher recall.

    Args:
        true: (n,) whether each detection of a class is a true positive, best score first.
        false: (n,) its weight as a false positive.

    Returns:
        (K,) for the K true positives, falling.
    """
    hits = np.cumsum(true)
    precision = hits / np.maximum(hits + np.cumsum(false), np.finfo(np.float64).eps)
    return np.maximum.accumulate(precision[::-1])[::-1][true]
