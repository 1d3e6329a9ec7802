"""What holds of average precision whatever the data."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.evaluation.average_precision import average_precision
from fgfa.evaluation.records import Detections, GroundTruth

CLASSES = 3
RANGES = {
    "motion_ranges": [(0, 1), (0.9, 1), (0.7, 0.9), (0, 0.7)],
    "area_ranges": [(0, 1e10), (0, 500)],
}

_box = st.tuples(*[st.integers(0, 40)] * 4).map(lambda v: [v[0], v[1], v[0] + v[2], v[1] + v[3]])
_truth_row = st.tuples(st.integers(0, CLASSES - 1), _box, st.floats(0, 1))
_frame = st.lists(_truth_row, max_size=4)
_frames = st.lists(_frame, min_size=1, max_size=4)
# Frame, class, box; scores are drawn apart so that none are equal.
_found_row = st.tuples(st.integers(0, 3), st.integers(0, CLASSES - 1), _box)


def _ground_truth(
    frames: Sequence[Sequence[tuple]], ids: Sequence[int]
) -> tuple[GroundTruth, np.ndarray]:
    """Boxes and their motion IoU."""
    rows = [row for frame in frames for row in frame]
    truth = GroundTruth(
        np.array(ids),
        np.array([len(frame) for frame in frames]),
        np.array([row[0] for row in rows], int),
        np.array([row[1] for row in rows], float).reshape(-1, 4),
    )
    return truth, np.array([row[2] for row in rows], float)


def _detections(rows: Sequence[tuple], scores: Sequence[float]) -> Detections:
    return Detections(
        np.array([row[0] for row in rows], int),
        np.array([row[1] for row in rows], int),
        np.array(scores, float),
        np.array([row[2] for row in rows], float).reshape(-1, 4),
    )


def _ap(frames: Sequence, ids: Sequence[int], detections: Detections) -> np.ndarray:
    truth, motion = _ground_truth(frames, ids)
    return average_precision(truth, detections, CLASSES, motion_iou=motion, **RANGES)


@st.composite
def _found(draw) -> Detections:
    """Detections in an order of their own, with scores that all differ."""
    rows = draw(st.lists(_found_row, max_size=12))
    ranks = draw(st.permutations(range(len(rows))))
    return _detections(rows, [(1 + rank) / (1 + len(rows)) for rank in ranks])


@given(_frames, _found(), st.data())
def test_order_of_detections_does_not_matter(frames, found, data):
    ids = range(len(frames))
    order = np.array(data.draw(st.permutations(range(len(found)))), int)
    np.testing.assert_array_equal(_ap(frames, ids, found[order]), _ap(frames, ids, found))


@given(_frames, _found(), st.data())
def test_order_of_frames_does_not_matter(frames, found, data):
    ids = data.draw(st.permutations(range(len(frames))))
    shuffled = [frames[i] for i in ids]
    np.testing.assert_array_equal(_ap(shuffled, ids, found), _ap(frames, range(len(frames)), found))


@given(_frames, _found(), st.permutations(range(CLASSES)))
def test_names_of_classes_do_not_matter(frames, found, names):
    renamed = [[(names[label], *rest) for label, *rest in frame] for frame in frames]
    others = replace(found, classes=np.array(names)[found.classes])
    ids = range(len(frames))
    np.testing.assert_array_equal(_ap(renamed, ids, others)[..., names], _ap(frames, ids, found))


@given(_frames, st.data())
def test_perfect_detections_give_one_in_every_range(frames, data):
    rows = [(i, label, box) for i, frame in enumerate(frames) for label, box, _ in frame]
    scores = data.draw(st.lists(st.floats(0, 1), min_size=len(rows), max_size=len(rows)))
    ap = _ap(frames, range(len(frames)), _detections(rows, scores))
    assert (ap[~np.isnan(ap)] == 1).all()
    truth, _ = _ground_truth(frames, range(len(frames)))
    np.testing.assert_array_equal(
        np.isnan(ap[0, 0]), np.bincount(truth.classes, minlength=CLASSES) == 0
    )


@given(_frames, _found(), _found_row, st.floats(0, 1))
def test_a_false_positive_never_raises_ap(frames, found, row, score):
    frame, label, box = row
    false = _detections([(frame, label, np.array(box) + 1000)], [score])
    ids = range(len(frames))
    with_it = _ap(frames, ids, Detections.concatenate([found, false]))
    without = _ap(frames, ids, found)
    np.testing.assert_array_equal(np.isnan(with_it), np.isnan(without))
    assert (np.nan_to_num(with_it) <= np.nan_to_num(without)).all()


def test_a_false_positive_lowers_ap_where_a_true_one_follows():
    frames = [[(0, [0, 0, 9, 9], 0.8)]]
    true = _detections([(0, 0, [0, 0, 9, 9])], [0.5])
    false = _detections([(0, 0, [90, 90, 99, 99])], [0.6])
    ap = _ap(frames, [0], Detections.concatenate([true, false]))
    assert ap[0, 0, 0] == pytest.approx(0.5)
