import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import nms

from fgfa.evaluation import overlaps
from fgfa.evaluation.boxes import iou
from fgfa.evaluation.overlaps import Overlaps, keep_after_nms

THRESHOLDS = st.sampled_from([0.1, 0.3, 1 / 3, 0.5, 1.0])


@st.composite
def _boxes(draw, max_size: int = 12) -> np.ndarray:
    # Few whole numbers, so that many pairs are at exactly a threshold; some are turned inside out.
    corners = st.lists(st.integers(0, 7), min_size=4, max_size=4)
    rows = draw(st.lists(corners, max_size=max_size))
    return np.array(rows, np.float64).reshape(-1, 4)


@given(_boxes(), THRESHOLDS, st.integers(1, 40), st.data())
def test_lists_are_those_of_all_pairs(boxes, threshold, pairs_at_once, data):
    bounds = st.lists(st.integers(0, len(boxes)), min_size=2, max_size=2)
    ranges = [sorted(data.draw(bounds)) for _ in boxes]
    first, last = np.array(ranges, np.int64).reshape(-1, 2).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "_PAIRS_AT_ONCE", pairs_at_once)
        found = Overlaps.find(boxes, first, last, threshold)
        expected = [
            [j for j in range(*bounds) if iou(boxes[i], boxes[j]) >= threshold]
            for i, bounds in enumerate(ranges)
        ]
    assert [found.of(box) for box in range(len(boxes))] == expected
    assert found.counts.tolist() == [len(others) for others in expected]


def test_nms_drops_above_the_threshold_only():
    # IoU 0.5 with +1 widths; 18 / 45 = 0.4 with exclusive ones.
    boxes = np.array([[0.0, 0, 9, 2], [0, 0, 4, 2], [100, 100, 110, 110]])
    scores, groups = np.array([0.3, 0.2, 0.9]), np.zeros(3, np.int64)
    assert keep_after_nms(boxes, scores, groups, 0.5).tolist() == [2, 0, 1]
    assert keep_after_nms(boxes, scores, groups, 0.499).tolist() == [2, 0]


def test_a_dropped_box_drops_none():
    boxes = np.array([[0.0, 0, 99, 9], [30, 0, 129, 9], [60, 0, 159, 9]])
    groups = np.zeros(3, np.int64)
    assert keep_after_nms(boxes, np.array([0.9, 0.8, 0.7]), groups, 0.3).tolist() == [0, 2]


def test_nms_of_nothing():
    nothing = np.zeros(0)
    assert keep_after_nms(np.zeros((0, 4)), nothing, nothing.astype(int), 0.3).tolist() == []


@given(_boxes(), st.data())
def test_nms_of_groups_is_that_of_each_alone(boxes, data):
    boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
    scores, groups = (
        np.array(data.draw(st.lists(values, min_size=len(boxes), max_size=len(boxes))), dtype)
        for values, dtype in ((st.sampled_from([0.2, 0.5, 0.9]), float), (st.integers(0, 2), int))
    )
    expected = []
    for group in range(3):
        rows = np.flatnonzero(groups == group)
        ends_outside = torch.from_numpy(boxes[rows] + [0, 0, 1, 1])
        kept = nms(ends_outside, torch.from_numpy(scores[rows]), 0.3).numpy()
        expected += rows[kept].tolist()
    assert keep_after_nms(boxes, scores, groups, 0.3).tolist() == expected
