"""Flow over a window: pair by pair, and composed of steps between adjacent frames."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgfa.modeling import FrameEncoding, FrameWindow
from fgfa.modeling import window_flow as window_flow_module
from fgfa.modeling.window_flow import (
    FLOW_MODES,
    ComposedFlow,
    FlowFunctions,
    pairwise_flow,
    window_flow,
)

HEIGHT, WIDTH = 4, 6


class FlowNet:
    """Shifts by a vector times the difference of the frames' numbers, and notes the pairs.

    What it makes of key frames is their negative, so that nothing else passes for it.
    """

    def __init__(self, vector: tuple[float, float] = (0.25, -0.5)) -> None:
        self.vector = torch.tensor(vector).view(1, 2, 1, 1)
        self.pairs: list[tuple[int, int]] = []
        self.calls = 0
        self.keys_made = 0

    def as_key(self, image: torch.Tensor) -> torch.Tensor:
        self.keys_made += len(image)
        return -image

    def forward(self, keys: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
        first, second = -keys[:, 0, 0, 0], neighbors[:, 0, 0, 0]
        self.pairs += zip(first.int().tolist(), second.int().tolist(), strict=True)
        self.calls += 1
        difference = (second - first).view(-1, 1, 1, 1)
        return (difference * self.vector).expand(-1, 2, HEIGHT, WIDTH)


def make_window(length: int, radius: int, causal: bool = False, stride: int = 1) -> FrameWindow:
    window = FrameWindow(radius, causal, stride)
    add_frames(window, length)
    return window


def add_frames(window: FrameWindow, end: int) -> None:
    for number in range(window.end, end):
        feature = torch.zeros(1, HEIGHT, WIDTH)
        image = torch.full((3, 2, 2), float(number))
        window.add(FrameEncoding(feature, feature, image, image, image_size=(2, 2)))


@given(
    length=st.integers(1, 8),
    radius=st.integers(0, 3),
    causal=st.booleans(),
    stride=st.integers(1, 2),
    ahead=st.integers(0, 2),
)
@pytest.mark.parametrize("mode", FLOW_MODES)
def test_steady_motion_gives_the_same_in_all_modes(
    mode: str, length: int, radius: int, causal: bool, stride: int, ahead: int
):
    flow_net, estimate = FlowNet(), window_flow(mode)
    window = FrameWindow(radius, causal, stride)
    for key in range(length):
        add_frames(window, min(key + window.lookahead + 1 + ahead, length))
        numbers = window.move_to(key)
        flow = estimate(flow_net, window, key, numbers)
        distances = torch.tensor([number - key for number in numbers])
        expected = distances.view(-1, 1, 1, 1) * flow_net.vector
        torch.testing.assert_close(flow, expected.expand(-1, 2, HEIGHT, WIDTH))


def test_pairs_of_a_key_frame_are_one_batch_and_repeated_frames_are_seen_once():
    flow_net = FlowNet()
    window = make_window(4, radius=2)
    pairwise_flow(flow_net, window, 0, window.move_to(0))
    assert flow_net.pairs == [(0, 0), (0, 1), (0, 2)]
    assert flow_net.calls == 1


def test_a_key_frame_is_made_once_for_all_batches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(window_flow_module, "_CACHED_BYTES", 1)
    flow_net, window = FlowNet(), make_window(4, radius=2)
    flow = pairwise_flow(flow_net, window, 1, window.move_to(1))
    assert (len(flow), flow_net.calls, flow_net.keys_made) == (5, 4, 1)


def test_zero_key_flow_is_not_estimated():
    flow_net, window = FlowNet(), make_window(4, radius=2)
    numbers = window.move_to(1)
    flow = window_flow("zero_key")(flow_net, window, 1, numbers)
    assert set(flow_net.pairs) == {(1, 0), (1, 2), (1, 3)}
    assert [bool(f.any()) for f in flow] == [number != 1 for number in numbers]


@pytest.mark.parametrize(("causal", "a_frame"), [(False, 2), (True, 1)])
def test_composed_flow_looks_at_each_pair_of_adjacent_frames_once(causal: bool, a_frame: int):
    flow_net, composed = FlowNet(), ComposedFlow()
    window = FrameWindow(3, causal)
    for key in range(9):
        add_frames(window, min(key + window.lookahead + 1, 9))
        composed(flow_net, window, key, window.move_to(key))
    backward = {(n + 1, n) for n in range(8)}
    forward = set() if causal else {(n, n + 1) for n in range(8)}
    assert len(flow_net.pairs) == a_frame * 8
    assert set(flow_net.pairs) == backward | forward


@pytest.mark.parametrize(("causal", "a_frame"), [(False, 2), (True, 1)])
def test_steps_of_key_frames_that_come_together_are_one_batch(causal: bool, a_frame: int):
    flow_net, composed = FlowNet(), ComposedFlow()
    window = FrameWindow(3, causal)
    calls = []
    for key in range(12):
        if key % 4 == 0:
            add_frames(window, key + 4 + window.lookahead)
        before = flow_net.calls, len(flow_net.pairs)
        composed(flow_net, window, key, window.move_to(key))
        calls.append((flow_net.calls - before[0], len(flow_net.pairs) - before[1]))
    assert calls[4:] == [(1, 4 * a_frame), (0, 0), (0, 0), (0, 0)] * 2


def test_composed_flow_keeps_the_steps_of_the_window_only():
    flow_net, composed = FlowNet(), ComposedFlow()
    window = FrameWindow(radius=3)
    for key in range(60):
        add_frames(window, key + 4)
        composed(flow_net, window, key, window.move_to(key))
        assert len(composed._steps) <= 2 * 6


def test_steps_are_followed_along_the_motion():
    # Everything moves away from the left edge: twice as far from it in each frame.
    doubling = torch.zeros(1, 2, HEIGHT, WIDTH)
    doubling[:, 0] = torch.arange(WIDTH)
    window = make_window(3, radius=2)
    flow_net = FlowFunctions(
        as_key=lambda image: image,
        forward=lambda keys, neighbors: doubling.expand(len(keys), -1, -1, -1),
    )
    flow = ComposedFlow()(flow_net, window, 0, window.around(0))
    x = torch.arange(WIDTH, dtype=torch.float)
    once, twice = flow[3, 0, 0] + x, flow[4, 0, 0] + x
    torch.testing.assert_close(once, 2 * x)
    # Cells 0 to 2 are inside after the first step; others go on as the border does.
    torch.testing.assert_close(twice[:3], 4 * x[:3])
    torch.testing.assert_close(twice[3:], 2 * x[3:] + WIDTH - 1)
