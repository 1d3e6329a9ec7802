"""The mean weights of all frames of a window as bars."""

from collections.abc import Sequence

import cv2
import numpy as np

from .lettering import WHITE, Color, shorten, text_size, write
from .window_layout import KEY_COLOR, Columns

_LINES = 3  # height of the longest bar, in lines of text
_WIDEST = 1.5  # width of a bar, in lines of text
_EVEN_LINE: Color = (130, 130, 130)


def draw_bars(
    means: np.ndarray, colors: np.ndarray, labels: Sequence[str], key: int, columns: Columns
) -> np.ndarray:
    """Bars of a window's mean weights, and a line where all would be alike.

    Args:
        means: (T,), relative to 1 / T.
        colors: (T, 3), BGR.
        labels: of the T positions; those of the shown ones stand below their bars.
        key: position of the key frame, whose label has a color.
        columns: what the strip looks like.

    Returns:
        BGR, uint8, (height, width, 3).
    """
    length, line, scale = len(means), columns.line_height, columns.text_scale
    bottom = _LINES * line
    canvas = np.zeros((bottom + line, columns.width, 3), np.uint8)
    per_unit = (bottom - 2) / max(1.5, float(means.max()))
    centers = (np.arange(length) + 0.5) * columns.width / length
    half = min(0.35 * columns.width / length, _WIDEST * line / 2)
    even = bottom - round(per_unit)
    cv2.line(canvas, (0, even), (columns.width - 1, even), _EVEN_LINE, 1)
    for center, mean, color in zip(centers, means, colors, strict=True):
        top, left = bottom - round(per_unit * float(mean)), int(center - half)
        canvas[top:bottom, left : max(int(center + half), left + 1)] = color
    for position in columns.positions:
        text = shorten(labels[position], columns.width, scale)
        left = int(centers[position]) - text_size(text, scale)[0] // 2
        write(canvas, text, left, bottom + 1, scale, KEY_COLOR if position == key else WHITE)
    return canvas
