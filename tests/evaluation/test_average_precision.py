from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.evaluation.average_precision import average_precision
from fgfa.evaluation.records import Detections, GroundTruth

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("areas", [True, False])
def test_equals_the_original(ties, areas):
    golden = np.load(DATA / "eval_small.npz")
    truth, found = golden["gt_frame_class_box"], golden["det_frame_class_score_box"]
    ap = average_precision(
        GroundTruth(
            golden["frame_ids"],
            golden["gt_count_per_frame"],
            truth[:, 1].astype(int) - 1,
            truth[:, 2:],
        ),
        Detections(
            found[:, 0].astype(int),
            found[:, 1].astype(int) - 1,
            found[:, 2] if ties else golden["det_noties_scores"],
            found[:, 3:],
        ),
        30,
        motion_iou=golden["motion_iou_flat"],
        motion_ranges=list(golden["motion_ranges"]),
        area_ranges=list(golden["area_ranges"]) if areas else [(0, 1e10)],
    )
    expected = golden[("ap_stable" if ties else "ap_noties") + ("_areas" if areas else "")]
    np.testing.assert_allclose(np.nan_to_num(ap, nan=-1), expected, rtol=0, atol=1e-9)


def _truth(*frames):
    """Ground truth of class 0 from the boxes of each frame; image ids from 1."""
    boxes = [box for frame in frames for box in frame]
    return GroundTruth(
        np.arange(1, len(frames) + 1),
        np.array([len(frame) for frame in frames]),
        np.zeros(len(boxes), int),
        np.array(boxes, float).reshape(-1, 4),
    )


def _found(*rows):
    """Detections of class 0 from (image id, score, box)."""
    return Detections(
        np.array([row[0] for row in rows], int),
        np.zeros(len(rows), int),
        np.array([row[1] for row in rows], float),
        np.array([row[2] for row in rows], float).reshape(-1, 4),
    )


def _ap(truth, found, **options):
    return average_precision(truth, found, 1, **options)[:, 0, 0].tolist()


A, B, FAR = [0, 0, 99, 99], [200, 0, 299, 99], [400, 400, 450, 450]


def test_precision_envelope_over_all_recall_points():
    # True, false, true: precisions 1, 1/2, 2/3.
    found = _found((1, 0.9, A), (1, 0.8, FAR), (1, 0.7, B))
    assert _ap(_truth([A, B]), found) == [pytest.approx((1 + 2 / 3) / 2)]


def test_a_box_is_found_once():
    found = _found((1, 0.9, A), (1, 0.8, A), (1, 0.7, B))
    assert _ap(_truth([A, B]), found) == [pytest.approx((1 + 2 / 3) / 2)]


def test_second_best_box_where_the_best_is_taken():
    shifted = [20, 0, 119, 99]
    found = _found((1, 0.9, A), (1, 0.8, A))
    assert _ap(_truth([A, shifted]), found) == [1.0]


def test_small_boxes_ask_for_less_overlap():
    # 10 x 10 asks for 100 / 400; a shift by 5 columns overlaps by 50 / 150.
    found = _found((1, 0.9, [5, 0, 14, 9]))
    assert _ap(_truth([[0, 0, 9, 9]]), found) == [1.0]
    # 100 x 100 asks for 0.5; a shift by 50 columns overlaps by 1 / 3.
    assert _ap(_truth([A]), _found((1, 0.9, [50, 0, 149, 99]))) == [0.0]


def test_match_out_of_range_counts_as_nothing_and_keeps_its_box():
    found = _found((1, 0.9, A), (1, 0.8, A), (1, 0.7, B))
    options = {"motion_iou": np.array([0.2, 0.95]), "motion_ranges": [(0, 0.7), (0.9, 1)]}
    fast, slow = _ap(_truth([A, B]), found, **options)
    assert fast == 1.0
    # The second detection overlaps most the box out of range, and weighs nothing.
    assert slow == 1.0


@pytest.mark.parametrize(("motion", "weight"), [([0.95, 0.95], 0), ([0.2, 0.95], 0.5)])
def test_weight_at_a_tie_is_the_share_out_of_range(motion, weight):
    found = _found((1, 0.9, FAR), (1, 0.8, B))
    (ap,) = _ap(_truth([A, B]), found, motion_iou=np.array(motion), motion_ranges=[(0.9, 1)])
    # With all boxes in range there is no tie: the best overlap in range, 0, beats none out of it.
    expected = 1 / (1 + weight) if weight else (1 / 2) / 2
    assert ap == pytest.approx(expected)


def test_weight_in_empty_frames_is_the_share_in_range():
    truth, found = _truth([A], []), _found((2, 0.9, A), (1, 0.8, A))
    slow = {"motion_iou": np.array([0.95]), "motion_ranges": [(0.9, 1)]}
    # One box in range and the 0 that stands for the empty frame.
    assert _ap(truth, found, **slow) == [pytest.approx(1 / 1.5)]
    population = np.array([0.95, 0.3, 0.3, 0.3])
    assert _ap(truth, found, population=population, **slow) == [pytest.approx(1 / 1.25)]


def test_ranges_are_closed():
    ap = _ap(
        _truth([A]),
        _found((1, 0.9, A)),
        motion_iou=np.array([0.7]),
        motion_ranges=[(0, 0.7), (0.7, 0.9), (0.9, 1)],
    )
    assert ap[:2] == [1.0, 1.0]
    assert np.isnan(ap[2])


def test_detections_of_unknown_frames_are_left_out():
    found = _found((0, 0.99, A), (1, 0.9, A), (7, 0.99, A))
    assert _ap(_truth([A]), found) == [1.0]


def test_ties_fall_in_order_of_the_frame_list():
    truth = GroundTruth(np.array([9, 4]), np.array([1, 1]), np.zeros(2, int), np.array([A, A]))
    assert _ap(truth, _found((4, 0.5, FAR), (9, 0.5, A))) == [0.5]
    assert _ap(truth, _found((4, 0.5, A), (9, 0.5, FAR))) == [0.25]


def test_without_detections_or_boxes():
    assert _ap(_truth([A]), Detections.empty()) == [0.0]
    assert np.isnan(_ap(_truth([], []), _found((1, 0.5, A)))).all()


_box = st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(0, 40)] * 2).map(
    lambda v: [v[0], v[1], v[0] + v[2], v[1] + v[3]]
)
_frames = st.lists(st.lists(_box, max_size=4), min_size=1, max_size=4)


@given(_frames, st.data())
def test_ap_is_a_share_and_order_does_not_matter(frames, data):
    truth = _truth(*frames)
    boxes = data.draw(st.lists(st.tuples(st.integers(0, 5), _box), max_size=12))
    motion = np.array(
        data.draw(st.lists(st.floats(0, 1), min_size=len(truth.boxes), max_size=len(truth.boxes)))
    )
    options = {"motion_iou": motion, "motion_ranges": [(0, 1), (0, 0.7), (0.7, 0.9), (0.9, 1)]}
    rows = [(image_id, 1 / (2 + rank), box) for rank, (image_id, box) in enumerate(boxes)]
    ap = np.array(_ap(truth, _found(*rows), **options))
    assert ((ap >= 0) & (ap <= 1) | np.isnan(ap)).all()
    shuffled = data.draw(st.permutations(rows))
    np.testing.assert_array_equal(_ap(truth, _found(*shuffled), **options), ap)


@given(_frames)
def test_perfect_detections_give_one(frames):
    truth = _truth(*frames)
    rows = [(i, 0.5, box) for i, frame in enumerate(frames, start=1) for box in frame]
    (ap,) = _ap(truth, _found(*rows))
    assert ap == 1.0 or (np.isnan(ap) and not rows)
