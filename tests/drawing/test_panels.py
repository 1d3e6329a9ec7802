"""Pictures put together from pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.drawing import side_by_side, tile

SIDES = st.integers(1, 60)


def plain(height: int, width: int, level: int) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_pictures_stand_below_their_titles():
    picture = side_by_side(plain(60, 80, 40), plain(60, 80, 90), ("one", "other"))
    left, right = picture[-60:, :80], picture[-60:, -80:]
    assert (left == 40).all()
    assert (right == 90).all()
    titles = picture[:-60]
    assert titles[:, :80].max() > 200
    assert titles[:, -80:].max() > 200


def test_right_picture_is_scaled_to_the_height_of_the_left():
    picture = side_by_side(plain(60, 80, 40), plain(30, 20, 90), ("", ""))
    assert (picture[-60:, -40:] == 90).all()
    assert (picture[-60:, :80] == 40).all()


def test_long_title_stays_above_its_picture():
    long, none = (
        side_by_side(plain(60, 80, 40), plain(60, 80, 90), (title, "")) for title in ("W" * 99, "")
    )
    assert (long[:, 80:] == none[:, 80:]).all()


@given(SIDES, SIDES, SIDES, SIDES)
def test_any_two_pictures_go_together(left_height, left_width, right_height, right_width):
    left, right = plain(left_height, left_width, 1), plain(right_height, right_width, 2)
    picture = side_by_side(left, right, ("a title", "another"))
    assert picture.shape[0] > left_height
    assert (picture[-left_height:, :left_width] == 1).all()
    assert (picture[-left_height:, -1] == 2).all()


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (3, 2, 2), (4, 2, 2), (2, 5, 1)])
def test_tiles_fill_rows(count: int, columns: int, rows: int):
    sheet = tile([plain(4, 6, 10 * (i + 1)) for i in range(count)], columns)
    assert sheet.shape == (4 * rows, 6 * columns, 3)
    levels = sheet[2::4, 3::6, 0].flatten().tolist()
    blanks = rows * columns - count
    assert levels == [10 * (i + 1) for i in range(count)] + [0] * blanks
