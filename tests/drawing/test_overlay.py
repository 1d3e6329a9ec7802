"""Maps over frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.drawing.overlay import cell_size, tint


def test_cells_are_measured_in_pixels_of_the_frame():
    assert cell_size((64, 96), (4, 6)) == 16
    assert cell_size((32, 48), (4, 6)) == 8


def test_padding_below_does_not_change_the_cells():
    assert cell_size((50, 96), (4, 6)) == 16


def test_white_leaves_the_frame_gray():
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    tinted = tint(frame, np.full((2, 3, 3), 255, np.uint8))
    assert (tinted == tinted[:, :, :1]).all()
    assert tinted.std() > 10


def test_color_is_where_its_cell_is_and_in_dark_frames_too():
    colors = np.full((4, 6, 3), 255, np.uint8)
    colors[1, 4] = (0, 0, 255)
    tinted = tint(np.zeros((64, 96, 3), np.uint8), colors).astype(int)
    redness = tinted[:, :, 2] - tinted[:, :, 0]
    assert np.unravel_index(redness.argmax(), redness.shape) == (
        pytest.approx(24, abs=1),
        pytest.approx(72, abs=1),
    )
    assert redness.max() > 60
    assert (redness[40:] == 0).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.integers(1, 5))
def test_tinted_frame_keeps_its_size(height: int, width: int, rows: int, columns: int):
    frame = np.zeros((height, width, 3), np.uint8)
    assert tint(frame, np.zeros((rows, columns, 3), np.uint8)).shape == frame.shape
