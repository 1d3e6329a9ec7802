"""Which box each detection finds, by the rules of the original; see `average_precision`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fgfa.evaluation.boxes import area, iou
from fgfa.evaluation.records import Detections, GroundTruth, ragged_arange, stable_order

Range = tuple[float, float]
ALL_MOTION: Range = (0.0, 1.0)
ALL_AREAS: Range = (0.0, 1e10)
_IOU_THRESHOLD = 0.5
_TOLERANCE = 10  # pixels
_CHUNK = 1 << 16  # detections matched at once, which bounds memory


@dataclass(frozen=True)
class Matches:
    """Detections and the boxes that they find, for M ranges of motion.

    Attributes:
        ground_truth: F frames with G boxes.
        in_motion: (M, G) bool, whether a box is in the range.
        detections: N detections of these frames, by frame, then by falling score.
        frames: (N,) int64, the position in `ground_truth.image_ids` of each detection's frame.
        taken: (N,) int64, the box that a detection finds, -1 for none.
        weights: (M, N) float64, what a detection without a box weighs as a false positive.
    """

    ground_truth: GroundTruth
    in_motion: np.ndarray
    detections: Detections
    frames: np.ndarray
    taken: np.ndarray
    weights: np.ndarray

    def counted(
        self, motion: int, area_range: Range = ALL_AREAS
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What counts in one range of motion and one of area.

        Args:
            motion: index of the motion range, 0..M-1.
            area_range: closed range of box area, pixels.

        Returns:
            Whether a box is to be found (G,), whether a detection is a true positive (N,), and what
            it weighs as a false positive (N,), 0 where it is true or found a box out of range.
        """
        boxes = self.in_motion[motion] & ~_outside(area(self.ground_truth.boxes), area_range)
        # The appended False answers for the -1 of a detection without a box.
        true = np.append(boxes, False)[self.taken]
        nothing = (self.taken >= 0) | _outside(area(self.detections.boxes), area_range)
        return boxes, true, np.where(nothing, 0.0, self.weights[motion])


def match(
    ground_truth: GroundTruth,
    detections: Detections,
    *,
    motion_iou: np.ndarray | None = None,
    population: np.ndarray | None = None,
    motion_ranges: Sequence[Range] = (ALL_MOTION,),
) -> Matches:
    """Matches detections with the boxes of their frames.

    Args:
        ground_truth: the boxes of all frames.
        detections: detections in any order; those of other frames are left out.
        motion_iou: shape (G,), of each ground-truth box; not needed where all motion is in range.
        population: shape (P,), `motion_population` of the whole set. The original takes its whole
            file, also where only a part of the frames is evaluated; by default `motion_iou` and a 0
            for each empty frame.
        motion_ranges: M closed ranges of motion IoU.
    """
    if motion_iou is None:
        motion_iou = np.ones(len(ground_truth.boxes))
    if population is None:
        population = np.append(motion_iou, np.zeros((ground_truth.counts == 0).sum()))
    out_of_motion = np.stack([_outside(motion_iou, bounds) for bounds in motion_ranges])  # (M, G)
    empty_weights = [1 - _outside(population, bounds).mean() for bounds in motion_ranges]
    detections, frames = _by_frame_and_score(ground_truth, detections)
    taken, weights = _match(
        ground_truth,
        detections,
        frames,
        out_of_motion,
        _weights_at_tie(ground_truth, out_of_motion, empty_weights),
    )
    return Matches(ground_truth, ~out_of_motion, detections, frames, taken, weights)


def iou_thresholds(boxes: np.ndarray) -> np.ndarray:
    """The IoU (G,) that a detection of each box (G, 4) must reach."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return np.minimum(_IOU_THRESHOLD, area(boxes) / (sides + _TOLERANCE).prod(axis=1))


def _outside(values: np.ndarray, bounds: Range) -> np.ndarray:
    return (values < bounds[0]) | (values > bounds[1])


def _by_frame_and_score(
    ground_truth: GroundTruth, detections: Detections
) -> tuple[Detections, np.ndarray]:
    """Detections of the known frames, in order of frame, then of falling score; frames (N,)."""
    order = np.argsort(ground_truth.image_ids)
    sorted_ids = ground_truth.image_ids[order]
    place = np.searchsorted(sorted_ids, detections.image_ids)
    place = np.minimum(place, len(order) - 1)
    rows = np.flatnonzero(sorted_ids[place] == detections.image_ids)
    frames = order[place[rows]]
    by_score = np.argsort(-detections.scores[rows], kind="stable")
    by_frame = by_score[stable_order(frames[by_score])]
    return detections[rows[by_frame]], frames[by_frame]


def _weights_at_tie(
    ground_truth: GroundTruth, out_of_motion: np.ndarray, empty_weights: Sequence[float]
) -> np.ndarray:
    """Weight (M, F) of a false positive that overlaps boxes in and out of range alike."""
    counts = ground_truth.counts
    frames = ground_truth.frames
    outside = [np.bincount(frames[out], minlength=len(counts)) for out in out_of_motion]
    return np.where(
        counts > 0, np.stack(outside) / np.maximum(counts, 1), np.array(empty_weights)[:, None]
    )


def _match(
    ground_truth: GroundTruth,
    detections: Detections,
    frames: np.ndarray,
    out_of_motion: np.ndarray,
    weights_at_tie: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Which box each detection takes, and what it weighs as a false positive if it takes none.

    Args:
        ground_truth: G boxes.
        detections: N detections by frame and falling score.
        frames: (N,) their frames.
        out_of_motion: (M, G).
        weights_at_tie: (M, F).

    Returns:
        Row of the box, -1 for none (N,), and weight (M, N).
    """
    thresholds = iou_thresholds(ground_truth.boxes)
    taken = np.full(len(detections), -1)
    takers = np.full(len(ground_truth.boxes), len(detections))
    weights = weights_at_tie[:, frames]
    with_boxes = np.flatnonzero(ground_truth.counts[frames])
    for rows, boxes, first in boxes_beside(ground_truth, frames, with_boxes):
        overlaps = iou(detections.boxes[rows], ground_truth.boxes[boxes])
        fits = overlaps >= thresholds[boxes]
        fits &= detections.classes[rows] == ground_truth.classes[boxes]
        found = _take_best_free(rows[fits], boxes[fits], overlaps[fits], takers)
        taken[rows[fits][found]] = boxes[fits][found]
        for weight, out in zip(weights, out_of_motion[:, boxes], strict=True):
            best_outside = np.maximum.reduceat(np.where(out, overlaps, -1), first)
            best_inside = np.maximum.reduceat(np.where(out, -1, overlaps), first)
            clear = best_inside != best_outside
            weight[rows[first[clear]]] = best_inside[clear] > best_outside[clear]
    return taken, weights


def boxes_beside(
    ground_truth: GroundTruth, frames: np.ndarray, detections: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs detections with all boxes of their frames, some detections at a time.

    Args:
        ground_truth: the boxes.
        frames: (N,) frame of each detection.
        detections: the rows of those to pair; their frames have boxes.

    Yields:
        P pairs as rows of detections and rows of boxes, and where each detection's pairs begin.
    """
    starts = np.cumsum(ground_truth.counts) - ground_truth.counts
    for chunk in np.split(detections, range(_CHUNK, len(detections), _CHUNK)):
        counts = ground_truth.counts[frames[chunk]]
        boxes = ragged_arange(starts[frames[chunk]], counts)
        yield np.repeat(chunk, counts), boxes, np.cumsum(counts) - counts


def _take_best_free(
    rows: np.ndarray, boxes: np.ndarray, overlaps: np.ndarray, takers: np.ndarray
) -> np.ndarray:
    """Gives each detection, in order of row, the free box that it overlaps most.

    Not one after the other: all ask for their best box at once, each box goes to the earliest row
    that has asked for it, and who lost a box asks for the next best, until nobody has lost one. As
    all boxes prefer the earliest row, the pairs are the same (deferred acceptance, Gale-Shapley).

    Args:
        rows: (P,) detections of the pairs that fit, in rising order.
        boxes: (P,) their boxes.
        overlaps: (P,) their IoU.
        takers: (G,) the row that has taken each box, the number of detections for none; is changed.

    Returns:
        The pairs that come about, as positions in `rows`.
    """
    order = np.lexsort((-overlaps, rows))
    rows, boxes = np.append(rows, -1), boxes[order]  # -1 ends the last detection's pairs
    asked = np.flatnonzero(np.diff(rows[:-1], prepend=-1))
    while True:
        np.minimum.at(takers, boxes[asked], rows[asked])
        lost = takers[boxes[asked]] != rows[asked]
        if not lost.any():
            return order[asked]
        another = rows[asked + 1] == rows[asked]
        asked = (asked + lost)[another | ~lost]
