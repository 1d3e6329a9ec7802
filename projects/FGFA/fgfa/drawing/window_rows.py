"""The rows of a window's strip: its frames, the weights of each, and the flow to each."""

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
import torch

from .color_scales import factor_bar, factor_colors, flow_colors, flow_wheel, round_up
from .flow import full_length
from .overlay import cell_size, tint
from .panels import resize
from .weight_bars import draw_bars
from .window_layout import KEY_COLOR, Columns

_BAR_WIDTHS = 6  # of the color bar of weights, in lines of text


class Window(Protocol):
    """How a key frame's feature was made (see `fgfa.modeling.explanation.Explanation`).

    Attributes:
        frames: number of the frame at each of T positions; those at a video's ends repeat.
        key: position of the key frame.
        flow: (T, 2, h, w), from the key frame to each, cells, x first.
        weights: (T, h, w), at each cell of the key frame, with the sum 1 over T.
    """

    frames: Sequence[int]
    key: int
    flow: torch.Tensor
    weights: torch.Tensor


def frame_row(images: Sequence[np.ndarray], window: Window, columns: Columns) -> np.ndarray:
    """The frames, each with its distance to the key frame, which has a rim.

    A position beyond the video's end shows, with "=", the frame that stands in for it.
    """
    thumbnails = []
    for position in columns.positions:
        thumbnail = resize(images[position], columns.size)
        columns.label(thumbnail, distance_label(window, position))
        if position == window.key:
            mark_key(thumbnail)
        thumbnails.append(thumbnail)
    return columns.row(thumbnails)


def distance_label(window: Window, position: int) -> str:
    """How many frames a position is from the key frame, with "=" where its frame repeats one."""
    if position == window.key:
        return "key"
    frame = window.frames[position]
    toward_key = window.frames[position + (1 if position < window.key else -1)]
    repeats = "=" if frame == toward_key else ""
    distance = frame - window.frames[window.key]
    return f"{repeats}{distance:+d}" if distance else "=key"


def weight_row(images: Sequence[np.ndarray], window: Window, columns: Columns) -> np.ndarray:
    """The weights of each frame over the key frame, their means, and bars for all positions."""
    length = len(window.frames)
    factors = window.weights.detach().float().cpu().numpy() * length  # 1 where all are alike
    limit = _factor_limit(factors)
    means = factors.mean(axis=(1, 2))
    key = resize(images[window.key], columns.size)
    thumbnails = []
    for position in columns.positions:
        thumbnail = tint(key, factor_colors(factors[position], limit))
        columns.label(thumbnail, f"{means[position] / length:.1%}", below=True)
        thumbnails.append(thumbnail)
    line = columns.line_height
    legend = np.hstack(
        [
            columns.text(f"1/{limit:g}"),
            factor_bar(line, _BAR_WIDTHS * line, limit),
            columns.text(f"{limit:g}"),
        ]
    )
    title = f"Weight at each cell of the key frame, relative to 1/{length} = {1 / length:.1%}"
    labels = [distance_label(window, position) for position in range(length)]
    bars = draw_bars(means, factor_colors(means, limit), labels, window.key, columns)
    return np.vstack([columns.header(title, legend), columns.row(thumbnails), bars])


def flow_row(images: Sequence[np.ndarray], window: Window, columns: Columns) -> np.ndarray:
    """The flow from the key frame to each frame, over the key frame, in one scale of colors."""
    cells = tuple(window.flow.shape[-2:])
    pixels = window.flow.cpu() * cell_size(images[window.key].shape[:2], cells)
    longest = full_length(pixels)
    key = resize(images[window.key], columns.size)
    thumbnails = [tint(key, flow_colors(pixels[p], longest)) for p in columns.positions]
    line = columns.line_height
    wheel = flow_wheel(line, np.zeros((line, line, 3), np.uint8))
    legend = np.hstack([wheel, columns.text(f"{longest:g} px")])
    title = "Flow from each cell of the key frame to the frame"
    return np.vstack([columns.header(title, legend), columns.row(thumbnails)])


def mark_key(thumbnail: np.ndarray) -> None:
    """Draws a rim around a thumbnail, which changes."""
    height, width = thumbnail.shape[:2]
    cv2.rectangle(thumbnail, (0, 0), (width - 1, height - 1), KEY_COLOR, 2)


def _factor_limit(factors: np.ndarray) -> float:
    """The largest distance of a factor from 1 on either side, rounded up, in 1.1 .. 10."""
    low, high = max(float(factors.min()), 0.1), min(float(factors.max()), 10.0)
    excess = max(high, 1 / low) - 1
    # A tenth at a time, so that weights that are nearly alike have colors too.
    return 1 + round_up(10 * excess) / 10
