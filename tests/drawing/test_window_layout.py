"""Which frames of a window are shown, and where."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fgfa.drawing.window_layout import Columns, choose_positions

WIDTHS = st.integers(16, 2000)


@st.composite
def windows(draw: st.DrawFn) -> tuple[int, int]:
    """Length and key of a window."""
    length = draw(st.integers(1, 40))
    return length, draw(st.integers(0, length - 1))


@given(windows(), st.integers(1, 50))
def test_chosen_positions(window: tuple[int, int], count: int):
    length, key = window
    chosen = choose_positions(length, key, count)
    assert key in chosen
    assert chosen == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < length
    assert len(chosen) <= count
    if count >= length:
        assert chosen == list(range(length))
    if count >= 3:
        assert {0, length - 1} <= set(chosen)
    for side in ([p for p in chosen if p <= key], [p for p in chosen if p >= key]):
        steps = np.diff(side)
        assert steps.size == 0 or np.ptp(steps) <= 1


def test_key_in_the_middle_has_as_many_before_as_behind():
    assert choose_positions(19, 9, 8) == [0, 3, 6, 9, 12, 15, 18]
    assert choose_positions(10, 9, 4) == [0, 3, 6, 9]


@given(WIDTHS, windows(), st.integers(1, 2000), st.integers(1, 2000))
def test_thumbnails_do_not_overlap_and_keep_their_shape(width, window, height, frame_width):
    columns = Columns.fit(width, *window, (height, frame_width))
    thumb_width, thumb_height = columns.size
    assert columns.lefts[0] >= 0
    assert columns.lefts[-1] + thumb_width <= width
    assert all(gap >= thumb_width for gap in np.diff(columns.lefts))
    assert abs(thumb_height - thumb_width * height / frame_width) <= 1


def test_wider_strips_show_more_frames():
    shown = [len(Columns.fit(width, 19, 9, (64, 96)).positions) for width in (90, 300, 900, 1900)]
    assert shown == sorted(set(shown))
