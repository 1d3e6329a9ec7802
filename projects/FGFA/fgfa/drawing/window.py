"""Draws the window of a key frame: which frames it was made from, and how (paper, figure 5)."""

from collections.abc import Sequence

import numpy as np

from fgfa.errors import InputError

from .window_layout import Columns
from .window_rows import Window, flow_row, frame_row, weight_row

_ROWS = {"weights": weight_row, "flow": flow_row}


def draw_window(
    images: Sequence[np.ndarray], explanation: Window, width: int, show: Sequence[str]
) -> np.ndarray:
    """A strip of a window's frames, and below them what the network made of each.

    Weights and flow belong to cells of the key frame, and are drawn over it. As many frames are
    shown as can be told apart, with bars for the weights of all. The strip's height depends on
    `width`, `show`, T, the key's position and the size of the frames alone, so that the strips of
    a video are of one size.

    Args:
        images: the frame at each of T positions of the window, BGR, uint8, (H, W, 3).
        explanation: of the key frame.
        width: of the strip, pixels.
        show: rows, in order: "weights", "flow" or both.

    Returns:
        BGR, uint8, (height, width, 3); of no height where `show` is empty.

    Raises:
        InputError: if there is no such row.
    """
    unknown = [name for name in show if name not in _ROWS]
    if unknown:
        raise InputError(f"nothing is known to show as {unknown[0]!r}; choose of {list(_ROWS)}")
    if not show:
        return np.zeros((0, width, 3), np.uint8)
    key = explanation.key
    columns = Columns.fit(width, len(images), key, images[key].shape[:2])
    rows = [_ROWS[name](images, explanation, columns) for name in show]
    return np.vstack([frame_row(images, explanation, columns), *rows])
