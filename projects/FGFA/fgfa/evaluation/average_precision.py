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

from fgfa.evaluation.boxes import area, iou
from fgfa.evaluation.records import Detections, GroundTruth, ragged_arange

Range = tuple[float, float]
ALL_MOTION: Range = (0.0, 1.0)
ALL_AREAS: Range = (0.0, 1e10)
_IOU_THRESHOLD = 0.5
_TOLERANCE = 10  # pixels
_CHUNK = 1 << 16  # detections matched at once, which bounds memory


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
        motion_iou: shape (G,), of each ground-truth box; not needed where all motion is in range.
        population: shape (P,), `motion_population` of the whole set. The original takes its whole
            file, also where only a part of the frames is evaluated; by default `motion_iou` and a 0
            for each empty frame.
        motion_ranges: M closed ranges of motion IoU.
        area_ranges: A closed ranges of box area, pixels.

    Returns:
        AP in [0, 1], float64, shape (M, A, C); NaN where no box of the class is in range.
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
    rows_by_class = _rows_by_class(detections, num_classes)
    result = np.full((len(motion_ranges), len(area_ranges), num_classes), np.nan)
    for a, bounds in enumerate(area_ranges):
        out_of_area = _outside(area(ground_truth.boxes), bounds)
        detection_out_of_area = _outside(area(detections.boxes), bounds)
        for m in range(len(motion_ranges)):
            counted = ~(out_of_motion[m] | out_of_area)
            positives = np.bincount(ground_truth.classes[counted], minlength=num_classes)
            # The appended False answers for the -1 of a detection without a box.
            true = np.append(counted, False)[taken]
            false = np.where((taken >= 0) | detection_out_of_area, 0.0, weights[m])
            for c in np.flatnonzero(positives):
                rows = rows_by_class[c]
                result[m, a, c] = _area_under_curve(true[rows], false[rows], positives[c])
    return result


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
    known = sorted_ids[place] == detections.image_ids
    detections, frames = detections[known], order[place][known]
    rows = np.lexsort((-detections.scores, frames))
    return detections[rows], frames[rows]


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
    thresholds = _iou_thresholds(ground_truth.boxes)
    starts = np.cumsum(ground_truth.counts) - ground_truth.counts
    taken = np.full(len(detections), -1)
    free = np.ones(len(ground_truth.boxes), bool)
    weights = weights_at_tie[:, frames]
    with_boxes = np.flatnonzero(ground_truth.counts[frames])
    for chunk in np.split(with_boxes, range(_CHUNK, len(with_boxes), _CHUNK)):
        counts = ground_truth.counts[frames[chunk]]
        rows = np.repeat(chunk, counts)
        boxes = ragged_arange(starts[frames[chunk]], counts)
        overlaps = iou(detections.boxes[rows], ground_truth.boxes[boxes])
        fits = overlaps >= thresholds[boxes]
        fits &= detections.classes[rows] == ground_truth.classes[boxes]
        _take_best_free(rows[fits], boxes[fits], overlaps[fits], taken, free)
        first = np.cumsum(counts) - counts
        for weight, out in zip(weights, out_of_motion[:, boxes], strict=True):
            best_outside = np.maximum.reduceat(np.where(out, overlaps, -1), first)
            best_inside = np.maximum.reduceat(np.where(out, -1, overlaps), first)
            clear = best_inside != best_outside
            weight[chunk[clear]] = best_inside[clear] > best_outside[clear]
    return taken, weights


def _iou_thresholds(boxes: np.ndarray) -> np.ndarray:
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return np.minimum(_IOU_THRESHOLD, area(boxes) / (sides + _TOLERANCE).prod(axis=1))


def _take_best_free(
    rows: np.ndarray, boxes: np.ndarray, overlaps: np.ndarray, taken: np.ndarray, free: np.ndarray
) -> None:
    """Gives each detection, in order of row, the free box it overlaps most; changes taken, free."""
    order = np.lexsort((-overlaps, rows))
    for row, box in zip(rows[order].tolist(), boxes[order].tolist(), strict=True):
        if free[box] and taken[row] < 0:
            taken[row] = box
            free[box] = False


def _rows_by_class(detections: Detections, num_classes: int) -> list[np.ndarray]:
    """Rows of each class's detections, best score first."""
    rows = np.lexsort((-detections.scores, detections.classes))
    ends = np.searchsorted(detections.classes[rows], np.arange(num_classes + 1))
    return np.split(rows, ends)[1:-1]


def _area_under_curve(true: np.ndarray, false: np.ndarray, positives: int) -> float:
    """Area under the precision envelope over all recall points.

    Args:
        true: (n,) whether each detection is a true positive, best score first.
        false: (n,) its weight as a false positive.
        positives: boxes to be found.
    """
    hits = np.cumsum(true)
    precision = hits / np.maximum(hits + np.cumsum(false), np.finfo(np.float64).eps)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[true].sum() / positives)
