"""Flow from key frames to the frames of their windows: pair by pair, or composed of small steps."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch

from fgfa.layers import flow_warp, stay_inside

from .frame_window import FrameWindow

FLOW_MODES = ("pairwise", "zero_key", "composed")

# A CPU is fastest on so many bytes of frames at a time: their maps stay in its cache.
_CACHED_BYTES = 40 * 2**20


class FlowFunctions(NamedTuple):
    """What of a flow network is called for the pairs of a window, see `FlowNet`."""

    as_key: Callable[[torch.Tensor], torch.Tensor]
    # From what was made of N key frames and N neighbors: flow (N, 2, H, W) of the pairs.
    forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


# From a flow network, the frames, a key frame and the numbers of the T frames in its window: flow
# (T, 2, h, w).
WindowFlow = Callable[[FlowFunctions, FrameWindow, int, Sequence[int]], torch.Tensor]


def pairwise_flow(
    flow_net: FlowFunctions, frames: FrameWindow, key: int, window: Sequence[int]
) -> torch.Tensor:
    """The flow network's answer for every pair of a key frame and a frame of its window, itself
    among them, all in one batch (paper, section 3.2).

    Args:
        flow_net: estimates flow between pairs of frames.
        frames: holds the frames of the windows.
        key: number of the key frame.
        window: numbers of the T frames in its window, in any order.

    Returns:
        Flow of shape (T, 2, H, W), in cells of the feature map, x first.
    """
    # Frames that repeat at the ends of the video are looked at once.
    different = list(dict.fromkeys(window))
    flow = _flow_of_pairs(flow_net, frames, [(key, number) for number in different])
    return flow[[different.index(number) for number in window]]


def zero_key_flow(
    flow_net: FlowFunctions, frames: FrameWindow, key: int, window: Sequence[int]
) -> torch.Tensor:
    """Does what `pairwise_flow` does, but takes zero for the flow from a key frame to itself."""
    others = [number for number in window if number != key]
    flow = _no_flow(frames, key)
    if others:
        flow = torch.cat([flow, pairwise_flow(flow_net, frames, key, others)])
    rows = {number: row for row, number in enumerate(others, start=1)}
    return flow[[rows.get(number, 0) for number in window]]


class ComposedFlow:
    """Flow composed of the steps between adjacent frames, each of which is estimated once.

    A frame costs two passes of the flow network, one for each direction, or one where windows do
    not look ahead, in place of 2K+1 (paper, section 4.2). Flow from a key frame to itself is zero.
    """

    def __init__(self) -> None:
        # Flow (1, 2, H, W) by the numbers of the adjacent frames that it leads from and to.
        self._steps: dict[tuple[int, int], torch.Tensor] = {}

    def __call__(
        self, flow_net: FlowFunctions, frames: FrameWindow, key: int, window: Sequence[int]
    ) -> torch.Tensor:
        """Does what `pairwise_flow` does, for a key frame behind that of the last call."""
        first, last = min(window), max(window)
        self._steps = {step: flow for step, flow in self._steps.items() if min(step) >= first}
        # Those of the next key frames go into the same batch, if they are at hand.
        steps = list(_steps_of(frames.end - 1, first))
        if frames.lookahead:
            steps += _steps_of(key, frames.end - 1)
        self._estimate(flow_net, frames, steps)
        # The two ways of a key frame give it all flows of its window.
        zero = _no_flow(frames, key)
        flow = self._compose(key, first, zero) | self._compose(key, last, zero)
        return torch.cat([flow[number] for number in window])

    def _estimate(
        self, flow_net: FlowFunctions, frames: FrameWindow, steps: Sequence[tuple[int, int]]
    ) -> None:
        missing = [step for step in steps if step not in self._steps]
        if missing:
            flow = _flow_of_pairs(flow_net, frames, missing)
            self._steps.update(zip(missing, flow.split(1), strict=True))

    def _compose(self, key: int, end: int, zero: torch.Tensor) -> dict[int, torch.Tensor]:
        """Flow from a key frame to each frame on the way to another one."""
        flow = {key: zero}
        for before, after in _steps_of(key, end):
            # Where an object has left the map, it goes on as it does at the border.
            step = flow_warp(self._steps[before, after], stay_inside(flow[before]))
            flow[after] = flow[before] + step
        return flow


def window_flow(mode: str) -> WindowFlow:
    """The flow of a new video's windows, by `MODEL.FGFA.FLOW_MODE`."""
    if mode == "composed":
        return ComposedFlow()
    return zero_key_flow if mode == "zero_key" else pairwise_flow


def _no_flow(frames: FrameWindow, key: int) -> torch.Tensor:
    """Flow (1, 2, H, W) of zero."""
    feature = frames.maps("feature", [key])
    return feature.new_zeros(1, 2, *feature.shape[-2:])


def _steps_of(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The adjacent frames on the way from one frame to another, in either direction."""
    direction = 1 if last >= first else -1
    return pairwise(range(first, last + direction, direction))


def _flow_of_pairs(
    flow_net: FlowFunctions, frames: FrameWindow, pairs: Sequence[tuple[int, int]]
) -> torch.Tensor:
    first = frames.maps("flow_neighbor", pairs[0][1:])
    size = first.numel() * first.element_size()
    at_once = max(_CACHED_BYTES // size, 1) if first.device.type == "cpu" else len(pairs)
    numbers = {key for key, _ in pairs}
    keys = {number: flow_net.as_key(frames.maps("flow_image", [number])) for number in numbers}
    flows = []
    for i in range(0, len(pairs), at_once):
        part = pairs[i : i + at_once]
        neighbors = frames.maps("flow_neighbor", [neighbor for _, neighbor in part])
        flows.append(flow_net.forward(_stacked([keys[key] for key, _ in part]), neighbors))
    return torch.cat(flows)


def _stacked(maps: list[torch.Tensor]) -> torch.Tensor:
    """Puts maps (1, C, H, W) together, without a copy where they are all the same."""
    same = all(x is maps[0] for x in maps)
    return maps[0].expand(len(maps), -1, -1, -1) if same else torch.cat(maps)
