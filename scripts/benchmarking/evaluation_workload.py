"""Random boxes and detections, as many as in ImageNet VID's validation set."""

from dataclasses import dataclass

import numpy as np

from fgfa.evaluation.box_motion import BoxMotion
from fgfa.evaluation.records import Detections, GroundTruth

# How many frames of the official motion IoU file have 0, 1, 2, ... boxes: 176,126 frames and
# 273,505 boxes in all.
_FRAMES_BY_BOXES = (4046, 118888, 35180, 6788, 3687, 2812, 1723, 1085, 748, 653, 426, 49, 41)
# Shares of fast, medium and slow boxes in that file, and their motion IoU.
_MOTION = ((0.26, 0.0, 0.7), (0.36, 0.7, 0.9), (0.38, 0.9, 1.0))
_CLIP = 317  # frames, the mean of the set; most objects of a clip are of one class
_SIZE = np.array([1280.0, 720.0])
ALL_FRAMES = sum(_FRAMES_BY_BOXES)
NUM_CLASSES = 30


@dataclass(frozen=True)
class Workload:
    """What is scored: F frames with G boxes, and N detections."""

    ground_truth: GroundTruth
    motion: BoxMotion
    detections: Detections


def make_workload(num_frames: int, per_frame: int) -> Workload:
    """Draws a data set and detections, the same ones each time.

    Two fifths of the detections are near a box of their frame, half of these of its class; the
    others lie anywhere. Scores are rounded as in prediction files, so that many are equal.

    Args:
        num_frames: F, at most `ALL_FRAMES`.
        per_frame: detections in each frame.
    """
    rng = np.random.default_rng(0)
    numbers = np.repeat(np.arange(len(_FRAMES_BY_BOXES)), _FRAMES_BY_BOXES)
    counts = rng.permutation(numbers)[:num_frames]
    frames = np.repeat(np.arange(num_frames), counts)
    classes = rng.integers(0, NUM_CLASSES, num_frames // _CLIP + 1)[frames // _CLIP]
    strays = rng.random(len(frames)) < 0.05
    classes[strays] = rng.integers(0, NUM_CLASSES, strays.sum())
    boxes = np.round(_random_boxes(rng, len(frames)))
    truth = GroundTruth(np.arange(1, num_frames + 1), counts, classes, boxes)
    return Workload(truth, _random_motion(rng, counts), _random_detections(rng, truth, per_frame))


def _random_motion(rng: np.random.Generator, counts: np.ndarray) -> BoxMotion:
    shares, lows, highs = np.array(_MOTION).T
    group = rng.choice(len(shares), counts.sum(), p=shares)
    values = rng.uniform(lows[group], highs[group])
    return BoxMotion(values, np.append(values, np.zeros((counts == 0).sum())))


def _random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes (count, 4) of 20 to 500 pixels a side, small ones as often as large ones."""
    centers = rng.uniform(0.1 * _SIZE, 0.9 * _SIZE, (count, 2))
    sides = np.exp(rng.uniform(np.log(20), np.log(500), (count, 2)))
    corners = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)
    return corners.clip(0, np.tile(_SIZE - 1, 2))


def _random_detections(rng: np.random.Generator, truth: GroundTruth, per_frame: int) -> Detections:
    frames = np.repeat(np.arange(len(truth.counts)), per_frame)
    counts = truth.counts[frames]
    near = np.flatnonzero((counts > 0) & (rng.random(len(frames)) < 0.4))
    starts = np.cumsum(truth.counts) - truth.counts
    targets = starts[frames[near]] + rng.integers(0, counts[near])
    boxes = _random_boxes(rng, len(frames))
    sides = np.tile(truth.boxes[targets, 2:] - truth.boxes[targets, :2] + 1, 2)
    boxes[near] = truth.boxes[targets] + 0.15 * sides * rng.standard_normal(sides.shape)
    corners = np.sort(boxes.reshape(-1, 2, 2), axis=1)  # x1 <= x2 and y1 <= y2
    classes = rng.integers(0, NUM_CLASSES, len(frames))
    right = rng.random(len(near)) < 0.5
    classes[near[right]] = truth.classes[targets[right]]
    scores = rng.beta(0.3, 4, len(frames))
    scores[near] += rng.beta(0.5, 1.5, len(near))
    return Detections(
        truth.image_ids[frames],
        classes,
        np.round(scores.clip(0.001, 1), 4),
        np.round(corners.reshape(-1, 4), 2),
    )
