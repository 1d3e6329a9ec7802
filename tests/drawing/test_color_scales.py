"""Colors of numbers."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgfa.drawing.color_scales import (
    factor_bar,
    factor_colors,
    flow_colors,
    flow_wheel,
    round_up,
)


def hue(bgr: np.ndarray) -> float:
    """0 to 1, around the circle."""
    return colorsys.rgb_to_hsv(*(bgr[::-1] / 255))[0]


@given(st.floats(0, 1e7))
def test_rounded_number_is_not_far_above(value: float):
    rounded = round_up(value)
    assert rounded >= 1
    assert value * (1 - 1e-5) <= rounded <= max(1, 1.7 * value)


@pytest.mark.parametrize(("value", "rounded"), [(0, 1), (1, 1), (1.2, 1.5), (3, 3), (71, 100)])
def test_rounded_numbers_are_few(value: float, rounded: float):
    assert round_up(value) == rounded
    assert round_up(value * (1 + 1e-9)) == rounded


def test_zero_flow_is_white():
    assert (flow_colors(torch.zeros(2, 3, 4), 1.0) == 255).all()


@given(st.floats(0, 2 * np.pi))
def test_opposite_directions_have_opposite_hues(angle: float):
    there = torch.tensor([np.cos(angle), np.sin(angle)], dtype=torch.float32)
    flow = torch.stack([there, -there], dim=1)[:, None]
    one, other = flow_colors(flow, 1.0)[0]
    apart = abs(hue(one) - hue(other))
    assert min(apart, 1 - apart) > 0.25


def test_longer_flow_has_more_color_up_to_the_longest():
    lengths = torch.tensor([0.0, 1, 2, 4, 8])
    flow = torch.stack([lengths, torch.zeros(5)])[:, None]
    whiteness = flow_colors(flow, 4.0)[0].min(axis=1).tolist()
    assert whiteness[:4] == sorted(set(whiteness[:4]), reverse=True)
    assert whiteness[3] == whiteness[4]


def test_color_of_flow_does_not_depend_on_other_cells():
    alone = torch.tensor([1.0, -0.5])[:, None, None]
    beside = torch.cat([alone, torch.tensor([-9.0, 30.0])[:, None, None]], dim=2)
    assert (flow_colors(beside, 5.0)[0, 0] == flow_colors(alone, 5.0)[0, 0]).all()


@pytest.mark.parametrize("diameter", [1, 2, 21])
def test_wheel_is_white_inside_and_leaves_its_corners(diameter: int):
    ground = np.full((diameter, diameter, 3), 7, np.uint8)
    wheel = flow_wheel(diameter, ground)
    assert wheel.shape == ground.shape
    if diameter == 21:
        assert (wheel[10, 10] == 255).all()
        assert (wheel[[0, 0, -1, -1], [0, -1, 0, -1]] == 7).all()


def test_factors_above_one_are_red_and_below_blue():
    less, even, more, none = factor_colors(np.array([0.5, 1.0, 2.0, 0.0]), 3.0).astype(int)
    assert less[0] > less[2]
    assert (even == 255).all()
    assert more[2] > more[0]
    assert (none == factor_colors(np.array(1 / 3), 3.0)).all()


def test_bar_goes_from_blue_to_red():
    bar = factor_bar(4, 9, 2.0)
    assert bar.shape == (4, 9, 3)
    assert (bar == bar[:1]).all()
    assert (bar[0] == factor_colors(2.0 ** np.linspace(-1, 1, 9), 2.0)).all()
