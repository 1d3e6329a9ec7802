import numpy as np
import pytest

from fgfa.evaluation.error_breakdown import KINDS, find_errors
from fgfa.evaluation.matching import match
from fgfa.evaluation.records import Detections, GroundTruth

CAT, DOG = 0, 1
A, B = [0.0, 0, 99, 99], [200.0, 0, 299, 99]
NEAR_A = [50.0, 0, 149, 99]  # IoU 1/3
TOUCHES_A = [90.0, 0, 189, 99]  # IoU 1/19
FAR = [400.0, 400, 450, 450]


def _errors(truth, found, motion=None, **options):
    """Errors from frames of (class, box) and rows of (image id, class, score, box)."""
    boxes = [box for frame in truth for box in frame]
    ground_truth = GroundTruth(
        np.arange(1, len(truth) + 1),
        np.array([len(frame) for frame in truth]),
        np.array([cls for cls, _ in boxes]),
        np.array([box for _, box in boxes]),
    )
    detections = Detections(
        np.array([row[0] for row in found], int),
        np.array([row[1] for row in found], int),
        np.array([row[2] for row in found], float),
        np.array([row[3] for row in found]).reshape(-1, 4),
    )
    matches = match(ground_truth, detections, motion_iou=motion, **options)
    return find_errors(matches, 2), matches


FILLER = [(CAT, FAR)] * 3  # boxes of another frame, so that more detections are looked at


@pytest.mark.parametrize(
    ("cls", "box", "kind", "at"),
    [
        (CAT, A, "duplicate", 0),
        (CAT, NEAR_A, "localization", 0),
        (CAT, B, "confusion", 1),
        (CAT, TOUCHES_A, "background", 0),
        (CAT, FAR, "background", -1),
    ],
)
def test_kind_and_box(cls, box, kind, at):
    found = [(1, CAT, 0.9, A), (1, cls, 0.8, box)]
    errors, _ = _errors([[(CAT, A), (DOG, B)], FILLER], found)
    assert [KINDS[k] for k in errors.kinds] == ["correct", kind]
    assert errors.boxes.tolist() == [0, at]


def test_the_own_class_comes_first():
    # A localization error at one box, and a confusion with another.
    errors, _ = _errors([[(CAT, NEAR_A), (DOG, A)]], [(1, CAT, 0.9, A)])
    assert [KINDS[k] for k in errors.kinds] == ["localization"]
    assert errors.boxes.tolist() == [0]


def test_the_box_of_an_error_is_the_nearest():
    nearer, farther = [40.0, 0, 139, 99], [60.0, 0, 159, 99]
    errors, _ = _errors([[(CAT, farther), (CAT, nearer)]], [(1, CAT, 0.9, A)])
    assert errors.boxes.tolist() == [1]


def test_as_many_detections_as_boxes_of_the_class():
    found = [(1, CAT, 0.7, A), (2, CAT, 0.9, A), (2, DOG, 0.9, A), (1, CAT, 0.8, FAR)]
    errors, matches = _errors([[(CAT, A), (CAT, B)], []], found)
    assert sorted(matches.detections.scores[errors.rows]) == [0.8, 0.9]
    assert errors.boxes.tolist() == [-1, -1]


def test_missed_is_without_any_detection_that_means_the_box():
    truth = [[(CAT, A), (CAT, B)], [(CAT, A), (DOG, B)], [(DOG, A)]]
    found = [(1, CAT, 0.9, A), (2, CAT, 0.8, NEAR_A), (2, CAT, 0.7, B), (3, DOG, 0.6, TOUCHES_A)]
    errors, _ = _errors(truth, found)
    # Found, none, badly placed, taken for a cat, none but background.
    assert errors.missed.tolist() == [False, True, False, False, True]


def test_counts_by_motion():
    truth = [[(CAT, A), (CAT, B)], [(CAT, A)]]
    found = [(1, CAT, 0.9, A), (1, CAT, 0.8, A), (1, CAT, 0.7, FAR)]
    motion, ranges = np.array([0.95, 0.2, 0.2]), [(0, 1), (0.9, 1), (0, 0.7)]
    errors, matches = _errors(truth, found, motion, motion_ranges=ranges)
    # Boxes, correct, duplicate, localization, confusion, background, missed.
    expected = [[3, 1, 1, 0, 0, 1, 2], [1, 1, 1, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 2]]
    assert errors.counts(matches.in_motion).tolist() == expected


def test_without_detections():
    errors, matches = _errors([[(CAT, A)]], [])
    assert errors.counts(matches.in_motion).tolist() == [[1, 0, 0, 0, 0, 0, 1]]


def test_perfect_detections_have_no_errors():
    truth = [[(CAT, A), (DOG, B)], [], [(CAT, NEAR_A)]]
    found = [(i + 1, cls, 0.5, box) for i, frame in enumerate(truth) for cls, box in frame]
    errors, matches = _errors(truth, found)
    assert errors.counts(matches.in_motion).tolist() == [[3, 3, 0, 0, 0, 0, 0]]
