import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.evaluation.boxes import area, iou


def test_area_counts_both_corner_pixels():
    assert area(np.array([3, 4, 3, 4])) == 1
    assert area(np.array([0, 0, 9, 4])) == 50


def test_iou_of_touching_and_apart():
    box = np.array([0.0, 0, 9, 9])
    # Columns 9 are shared: 10 pixels of 190.
    assert iou(box, np.array([9.0, 0, 18, 9])) == 10 / 190
    assert iou(box, np.array([10.0, 0, 19, 9])) == 0
    assert iou(box, np.array([30.0, 30, 39, 39])) == 0


@pytest.mark.filterwarnings("error")
def test_iou_of_a_box_that_ends_before_it_begins():
    # Widths 10 and -10: the areas add up to 0.
    assert iou(np.array([0.0, 0, 9, 9]), np.array([11.0, 0, 0, 9])) == 0


_coordinates = st.lists(st.integers(0, 60), min_size=4, max_size=4)


@given(_coordinates, _coordinates)
def test_iou_counts_pixels(first, second):
    boxes = [
        np.array([min(a, c), min(b, d), max(a, c), max(b, d)]) for a, b, c, d in (first, second)
    ]
    masks = np.zeros((2, 61, 61), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1 : y2 + 1, x1 : x2 + 1] = True
    assert iou(*boxes) == (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
