"""Flow from key frames to the frames of their windows: pair by pair, or composed of small steps."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch

from fgfa.layers import flow_warp, stay_inside

from .frame_window import FrameWindow

FLOW_MODES = ("pairwise", "zero_key", "composed")

# A CPU is fastest on so many bytes of frames at a time: their maps stay in its cache.
_CACHED_BYTES = 40 * 2**20

# From what a flow network made of N key frames and N neighbors: flow (N, 2, H, W) of the pairs.
FlowFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
# From a flow network, the frames, B key frames and the numbers of the T frames in the window of
# each: flow (B * T, 2, h, w).
WindowFlow = Callable[
    [FlowFunction, FrameWindow, Sequence[int], Sequence[Sequence[int]]], torch.Tensor
]


def pairwise_flow(
    flow_net: FlowFunction,
    frames: FrameWindow,
    keys: Sequence[int],
    windows: Sequence[Sequence[int]],
) -> torch.Tensor:
    """The flow network's answer for every pair of a key frame and a frame of its window, itself
    among them, all in one batch (paper, section 3.2).

    Args:
        flow_net: estimates flow between pairs of frames.
        frames: holds the frames of the windows.
        keys: numbers of B key frames.
        windows: numbers of the T frames in the window of each, in any order.

    Returns:
        Flow of shape (B * T, 2, H, W), in cells of the feature map, x first.
    """
    pairs = _pairs(keys, windows)
    # Frames that repeat at the ends of the video are looked at once.
    different = list(dict.fromkeys(pairs))
    flow = _flow_of_pairs(flow_net, frames, different)
    return flow[[different.index(pair) for pair in pairs]]


def zero_key_flow(
    flow_net: FlowFunction,
    frames: FrameWindow,
    keys: Sequence[int],
    windows: Sequence[Sequence[int]],
) -> torch.Tensor:
    """Does what `pairwise_flow` does, but takes zero for the flow from a key frame to itself."""
    pairs = _pairs(keys, windows)
    different = [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]
    flow = _no_flow(frames, keys[0])
    if different:
        flow = torch.cat([flow, _flow_of_pairs(flow_net, frames, different)])
    rows = {pair: row for row, pair in enumerate(different, start=1)}
    return flow[[rows.get(pair, 0) for pair in pairs]]


class ComposedFlow:
    """Flow composed of the steps between adjacent frames, each of which is estimated once.

    A frame costs two passes of the flow network, one for each direction, or one where windows do
    not look ahead, in place of 2K+1 (paper, section 4.2). Flow from a key frame to itself is zero.
    """

    def __init__(self) -> None:
        # Flow (1, 2, H, W) by the numbers of the adjacent frames that it leads from and to.
        self._steps: dict[tuple[int, int], torch.Tensor] = {}

    def __call__(
        self,
        flow_net: FlowFunction,
        frames: FrameWindow,
        keys: Sequence[int],
        windows: Sequence[Sequence[int]],
    ) -> torch.Tensor:
        """Does what `pairwise_flow` does, for key frames that follow those of the last call."""
        ways = [
            (key, end)
            for key, window in zip(keys, windows, strict=True)
            for end in (min(window), max(window))
        ]
        first = min(end for _, end in ways)
        self._steps = {step: flow for step, flow in self._steps.items() if min(step) >= first}
        self._estimate(flow_net, frames, [step for way in ways for step in _steps_of(*way)])
        zero = _no_flow(frames, keys[0])
        # The two ways of a key frame give it all flows of its window.
        flow = {way: self._compose(*way, zero) for way in ways}
        return torch.cat(
            [
                (flow[key, min(window)] | flow[key, max(window)])[number]
                for key, window in zip(keys, windows, strict=True)
                for number in window
            ]
        )

    def _estimate(
        self, flow_net: FlowFunction, frames: FrameWindow, steps: Sequence[tuple[int, int]]
    ) -> None:
        missing = [step for step in dict.fromkeys(steps) if step not in self._steps]
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


def _pairs(keys: Sequence[int], windows: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Each key frame with each frame of its window."""
    return [(key, n) for key, window in zip(keys, windows, strict=True) for n in window]


def _no_flow(frames: FrameWindow, key: int) -> torch.Tensor:
    """Flow (1, 2, H, W) of zero."""
    feature = frames.maps("feature", [key])
    return feature.new_zeros(1, 2, *feature.shape[-2:])


def _steps_of(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The adjacent frames on the way from one frame to another, in either direction."""
    direction = 1 if last >= first else -1
    return pairwise(range(first, last + direction, direction))


def _flow_of_pairs(
    flow_net: FlowFunction, frames: FrameWindow, pairs: Sequence[tuple[int, int]]
) -> torch.Tensor:
    first = frames.maps("flow_neighbor", pairs[0][1:])
    size = first.numel() * first.element_size()
    at_once = max(_CACHED_BYTES // size, 1) if first.device.type == "cpu" else len(pairs)
    parts = [pairs[i : i + at_once] for i in range(0, len(pairs), at_once)]
    return torch.cat([_flow_of_part(flow_net, frames, part) for part in parts])


def _flow_of_part(
    flow_net: FlowFunction, frames: FrameWindow, pairs: Sequence[tuple[int, int]]
) -> torch.Tensor:
    keys, neighbors = zip(*pairs, strict=True)
    if len(set(keys)) == 1:
        key_maps = frames.maps("flow_key", keys[:1]).expand(len(keys), -1, -1, -1)
    else:
        key_maps = frames.maps("flow_key", keys)
    return flow_net(key_maps, frames.maps("flow_neighbor", neighbors))
