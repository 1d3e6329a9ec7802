"""Precision-recall curves by motion, as a mean over classes."""

import numpy as np

from fgfa.evaluation.average_precision import best_first_by_class, precision_at_hits
from fgfa.evaluation.class_mean import class_mean
from fgfa.evaluation.matching import Matches

RECALLS = np.linspace(0, 1, 101)


def precision_recall(matches: Matches, num_classes: int) -> np.ndarray:
    """Precision at each recall of `RECALLS`, the mean over the classes that have boxes in a range.

    The precision of a class at a recall is the highest at that recall or a higher one, as in AP,
    and 0 where the recall is not reached; the area under the mean curve is thus the mean AP, but
    for the grid.

    Args:
        matches: detections matched for M ranges of motion.
        num_classes: C.

    Returns:
        Shape (M, 101), 0 to 1; NaN where a range has no boxes.
    """
    rows_by_class = best_first_by_class(matches.detections, num_classes)
    curves = np.full((len(matches.in_motion), len(RECALLS), num_classes), np.nan)
    for m in range(len(matches.in_motion)):
        boxes, true, false = matches.counted(m)
        positives = np.bincount(matches.ground_truth.classes[boxes], minlength=num_classes)
        for c in np.flatnonzero(positives):
            precision = precision_at_hits(true[rows_by_class[c]], false[rows_by_class[c]])
            curves[m, :, c] = _at_recalls(precision, positives[c])
    return class_mean(curves)


def _at_recalls(precision: np.ndarray, positives: int) -> np.ndarray:
    """Precision (101,) from that at each of K true positives, of `positives` to be found."""
    # True positives needed for a recall; the small number keeps 0.07 * 100 from asking for 8.
    needed = np.maximum(np.ceil(RECALLS * positives - 1e-9).astype(np.int64), 1)
    reached = needed <= len(precision)
    values = np.zeros(len(RECALLS))
    values[reached] = precision[needed[reached] - 1]
    return values
