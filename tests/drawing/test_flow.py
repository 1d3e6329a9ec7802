"""Flow over frames."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgfa.drawing import draw_flow

FRAME = np.full((160, 240, 3), 120, np.uint8)


def flow_of(x: float, y: float) -> torch.Tensor:
    return torch.tensor([x, y]).reshape(2, 1, 1).expand(2, 10, 15)


def test_zero_flow_is_gray_but_for_the_legend():
    frame = FRAME.copy()
    drawn = draw_flow(frame, flow_of(0, 0))
    assert (frame == FRAME).all()
    assert (drawn[:100] == drawn[:100, :, :1]).all()
    assert (drawn[120:, 200:] != drawn[120:, 200:, :1]).any()


def test_what_moves_has_color():
    flow = flow_of(0, 0).clone()
    flow[0, :5, :5] = 2
    drawn = draw_flow(FRAME, flow).astype(int)
    colored = np.ptp(drawn, axis=2) > 30
    assert colored[:64, :64].all()
    assert not colored[:96, 100:].any()


def test_equal_flow_looks_alike_in_all_frames_of_one_scale():
    slow, mixed = flow_of(1, 0), flow_of(1, 0).clone()
    mixed[:, 8:] = 3
    one, other = (draw_flow(FRAME, flow, longest=50.0) for flow in (slow, mixed))
    assert (one[:100] == other[:100]).all()
    assert (draw_flow(FRAME, slow)[:100] != draw_flow(FRAME, mixed)[:100]).any()


@pytest.mark.parametrize("length", [2.0, 2.6])
def test_scale_is_in_pixels_of_the_frame(length: float):
    # A cell is 16 pixels: 32 and 42 pixels are rounded up to 50.
    expected = draw_flow(FRAME, flow_of(length, 0), longest=50.0)
    assert (draw_flow(FRAME, flow_of(length, 0)) == expected).all()


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.0, 1.0, 1e4]))
def test_tiny_frames_and_long_flow(height: int, width: int, length: float):
    frame = np.zeros((height, width, 3), np.uint8)
    flow = torch.full((2, -(-height // 16), -(-width // 16)), length)
    assert draw_flow(frame, flow).shape == frame.shape
