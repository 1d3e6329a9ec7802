"""What the false positives and misses are, by motion, in the sense of Hoiem et al. (ECCV 2012).

Looked at are the best N detections of each class, N the number of its boxes, over the whole set: a
perfect detector would find all boxes with them. Unlike a threshold on the score this compares
detectors whose scores mean different things. Each of these detections is the first that fits of

* correct: it is matched with a box (`matching`);
* duplicate: it overlaps a box of its class enough, but other detections have taken it;
* localization: its IoU with a box of its class is 0.1 or more, but not enough;
* confusion: it overlaps a box of another class enough;
* background: all else.

"Enough" is the IoU that a match asks for. As in TIDE (Bolya et al., ECCV 2020), a box is missed
where no looked-at detection is correct, a localization error or a confusion at it.

A detection belongs to the motion of the box that made it what it is; background, to that of the box
of any class that it overlaps most. Background that overlaps nothing belongs to no group, and counts
in "all" alone.
"""

from dataclasses import dataclass

import numpy as np

from fgfa.evaluation.average_precision import best_first_by_class
from fgfa.evaluation.boxes import iou
from fgfa.evaluation.matching import Matches, boxes_beside, iou_thresholds

KINDS = ("correct", "duplicate", "localization", "confusion", "background")
CORRECT, DUPLICATE, LOCALIZATION, CONFUSION, BACKGROUND = range(5)
MIN_LOCALIZATION_IOU = 0.1


@dataclass(frozen=True)
class Errors:
    """The best detections of each class with what they are, and the boxes that are missed.

    Attributes:
        rows: (n,) int64, rows of `Matches.detections`, rising.
        kinds: (n,) int64, index into `KINDS`.
        boxes: (n,) int64, the box that each belongs to, -1 for none.
        missed: (G,) bool.
    """

    rows: np.ndarray
    kinds: np.ndarray
    boxes: np.ndarray
    missed: np.ndarray

    def counts(self, in_motion: np.ndarray) -> np.ndarray:
        """Numbers by motion.

        Args:
            in_motion: (M, G), `Matches.in_motion`, the first row of which is all motion.

        Returns:
            int64, shape (M, 7): boxes, the `KINDS`, and missed boxes.
        """
        # The appended column answers for the -1 of a detection without a box.
        no_box = np.arange(len(in_motion)) == 0
        of_detections = np.column_stack([in_motion, no_box])[:, self.boxes]
        kinds = [np.bincount(self.kinds[there], minlength=len(KINDS)) for there in of_detections]
        boxes, missed = in_motion.sum(axis=1), (in_motion & self.missed).sum(axis=1)
        return np.column_stack([boxes, np.stack(kinds), missed])


def find_errors(matches: Matches, num_classes: int) -> Errors:
    """Sorts the best detections of each class by what they are."""
    rows = _best_rows(matches, num_classes)
    kinds = np.full(len(matches.detections), BACKGROUND)
    boxes = matches.taken.copy()
    kinds[boxes >= 0] = CORRECT
    with_boxes = matches.ground_truth.counts[matches.frames[rows]] > 0
    _explain(matches, rows[with_boxes & (boxes[rows] < 0)], kinds, boxes)
    kinds, boxes = kinds[rows], boxes[rows]
    missed = np.ones(len(matches.ground_truth.boxes), bool)
    missed[boxes[np.isin(kinds, [CORRECT, LOCALIZATION, CONFUSION])]] = False
    return Errors(rows, kinds, boxes, missed)


def _best_rows(matches: Matches, num_classes: int) -> np.ndarray:
    wanted = np.bincount(matches.ground_truth.classes, minlength=num_classes)
    by_class = best_first_by_class(matches.detections, num_classes)
    return np.sort(
        np.concatenate([rows[:count] for rows, count in zip(by_class, wanted, strict=True)])
    )


def _explain(matches: Matches, rows: np.ndarray, kinds: np.ndarray, boxes: np.ndarray) -> None:
    """Writes what each of the unmatched detections `rows` is, and its box, to kinds and boxes."""
    truth, detections = matches.ground_truth, matches.detections
    thresholds = iou_thresholds(truth.boxes)
    for detection, box, first in boxes_beside(truth, matches.frames, rows):
        overlaps = iou(detections.boxes[detection], truth.boxes[box])
        same = detections.classes[detection] == truth.classes[box]
        enough = overlaps >= thresholds[box]
        # The last that fits stays.
        for kind, fits in (
            (BACKGROUND, overlaps > 0),
            (CONFUSION, ~same & enough),
            (LOCALIZATION, same & (overlaps >= MIN_LOCALIZATION_IOU)),
            (DUPLICATE, same & enough),
        ):
            strength = np.where(fits, overlaps, -1)
            best = np.lexsort((-strength, detection))[first]  # the pair of each detection
            best = best[fits[best]]
            kinds[detection[best]] = kind
            boxes[detection[best]] = box[best]
