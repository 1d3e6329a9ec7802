import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.evaluation import matching
from fgfa.evaluation.boxes import iou
from fgfa.evaluation.matching import iou_thresholds, match
from fgfa.evaluation.records import Detections, GroundTruth

# Boxes of a few pixels on a small grid: most overlap several others, often by equal IoU.
_box = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(0, 8)] * 2).map(
    lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3])
)
_labeled_box = st.tuples(st.integers(0, 1), _box)


def _one_after_the_other(truth: GroundTruth, found: Detections, frames: np.ndarray) -> list[int]:
    """The box that each detection takes, in order of frame and score."""
    thresholds = iou_thresholds(truth.boxes)
    taken = []
    for row, frame in enumerate(frames):
        best, best_overlap = -1, -1.0
        for box in np.flatnonzero(truth.frames == frame):
            overlap = iou(found.boxes[row], truth.boxes[box])
            fits = overlap >= thresholds[box] and truth.classes[box] == found.classes[row]
            if fits and box not in taken and overlap > best_overlap:
                best, best_overlap = box, overlap
        taken.append(best)
    return taken


@pytest.mark.parametrize("chunk", [1, 3, 1000])
@given(
    frames=st.lists(st.lists(_labeled_box, max_size=6), min_size=1, max_size=3),
    found=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), _labeled_box), max_size=12),
)
def test_detections_take_the_best_free_box_one_after_the_other(chunk, frames, found):
    boxes = [box for frame in frames for box in frame]
    truth = GroundTruth(
        np.arange(len(frames)),
        np.array([len(frame) for frame in frames]),
        np.array([label for label, _ in boxes], int),
        np.array([corners for _, corners in boxes], float).reshape(-1, 4),
    )
    detections = Detections(
        np.array([frame for frame, _, _ in found], int),
        np.array([label for _, _, (label, _) in found], int),
        np.array([score for _, score, _ in found], float),
        np.array([corners for _, _, (_, corners) in found], float).reshape(-1, 4),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_CHUNK", chunk)
        matches = match(truth, detections)
    assert matches.taken.tolist() == _one_after_the_other(truth, matches.detections, matches.frames)


def test_a_chain_of_lost_boxes():
    # Each detection asks first for the box of the one before it, and ends with its own.
    corners = np.array([[10.0 * step, 0, 10 * step + 99, 99] for step in range(5)])
    truth = GroundTruth(np.array([1]), np.array([5]), np.zeros(5, int), corners)
    between = np.concatenate([corners[:1], corners[:-1] + np.array([2, 0, 2, 0])])
    found = Detections(
        np.ones(5, int), np.zeros(5, int), np.array([0.9, 0.8, 0.7, 0.6, 0.5]), between
    )
    assert match(truth, found).taken.tolist() == [0, 1, 2, 3, 4]
