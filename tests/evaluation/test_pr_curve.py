import numpy as np
import pytest

from fgfa.evaluation.average_precision import ap_from_matches
from fgfa.evaluation.matching import match
from fgfa.evaluation.pr_curve import RECALLS, precision_recall
from fgfa.evaluation.records import Detections, GroundTruth

FAR = [5000.0, 0.0, 5050.0, 50.0]


def _matches(true_by_class, boxes_by_class, **options):
    """Matches of one frame from whether each detection of a class is true, best score first."""
    classes = np.repeat(np.arange(len(boxes_by_class)), boxes_by_class)
    boxes = np.array([[60.0 * i, 0, 60.0 * i + 50, 50] for i in range(len(classes))])
    truth = GroundTruth(np.array([1]), np.array([len(classes)]), classes, boxes)
    rows = []
    for cls, found in enumerate(true_by_class):
        free = iter(boxes[classes == cls])
        rows += [(cls, 1 - 0.001 * i, next(free) if t else FAR) for i, t in enumerate(found)]
    detections = Detections(
        np.ones(len(rows), int),
        np.array([row[0] for row in rows], int),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]).reshape(-1, 4),
    )
    return match(truth, detections, **options)


def test_precision_is_the_highest_from_a_recall_on():
    (curve,) = precision_recall(_matches([[True, False, True]], [4]), 1)
    expected = np.select([RECALLS <= 0.25, RECALLS <= 0.5], [1, 2 / 3])
    np.testing.assert_allclose(curve, expected)


def test_mean_over_the_classes_that_have_boxes():
    (curve,) = precision_recall(_matches([[True], [False, True], []], [1, 1, 0]), 3)
    np.testing.assert_allclose(curve, np.full(101, (1 + 0.5) / 2))


def test_recalls_are_reached_exactly():
    # 0.07 * 100 is a little more than 7 in floating point.
    (curve,) = precision_recall(_matches([[True] * 7], [100]), 1)
    assert curve.sum() == 8  # recalls 0.00 to 0.07


def test_area_is_ap():
    rng = np.random.default_rng(0)
    matches = _matches([rng.random(200) < 0.5], [200])
    assert precision_recall(matches, 1)[0, 1:].mean() == pytest.approx(
        ap_from_matches(matches, 1).item(), abs=0.01
    )


def test_motion_ranges():
    options = {
        "motion_iou": np.array([0.95, 0.2]),
        "motion_ranges": [(0.9, 1), (0, 0.7), (0.8, 0.9)],
    }
    slow, fast, none = precision_recall(_matches([[True, False]], [2], **options), 1)
    assert (slow == 1).all()
    assert (fast == 0).all()
    assert np.isnan(none).all()
