import numpy as np

from fgfa.evaluation.matching import match
from fgfa.evaluation.records import Detections, GroundTruth
from fgfa.evaluation.size_table import SIZE_RANGES, ap_by_size


def _square(side: int, left: int) -> list[float]:
    return [left, 0, left + side - 1, side - 1]


def test_cells_hold_the_boxes_of_their_size_and_motion():
    boxes = np.array([_square(20, 0), _square(100, 200), _square(200, 400)], float)
    truth = GroundTruth(np.array([1]), np.array([3]), np.zeros(3, int), boxes)
    # The small box is missed.
    found = Detections(np.ones(2, int), np.zeros(2, int), np.array([0.9, 0.8]), boxes[1:])
    motion = np.array([0.95, 0.95, 0.5])
    matches = match(truth, found, motion_iou=motion, motion_ranges=[(0, 1), (0.9, 1), (0, 0.7)])
    np.testing.assert_allclose(
        ap_by_size(matches, 2),
        [[200 / 3, 0, 100, 100], [50, 0, 100, np.nan], [100, np.nan, np.nan, 100]],
    )
    assert len(SIZE_RANGES) == 4


def test_a_box_at_an_end_has_both_sizes():
    box = np.array([_square(50, 0)], float)
    truth = GroundTruth(np.array([1]), np.array([1]), np.zeros(1, int), box)
    found = Detections(np.ones(1, int), np.zeros(1, int), np.array([0.9]), box)
    np.testing.assert_array_equal(ap_by_size(match(truth, found), 1), [[100, 100, 100, np.nan]])
