"""Pictures put together from pictures."""

from collections.abc import Sequence

import cv2
import numpy as np

from .lettering import frame_text_scale, shorten, text_size, write

# Titles of detections without and with aggregation.
COMPARED = ("this frame alone", "with the frames around it")
_GAP = 4  # pixels between two pictures


def side_by_side(left: np.ndarray, right: np.ndarray, titles: tuple[str, str]) -> np.ndarray:
    """Two pictures next to each other, each below its title.

    Args:
        left: BGR, uint8, (H, W, 3).
        right: the same; where its height is another one, it is scaled to that of the left.
        titles: ASCII; what does not fit is cut.

    Returns:
        BGR, uint8, as wide as both with a narrow gap, higher by the titles.
    """
    right = with_height(right, left.shape[0])
    gap = np.zeros((left.shape[0], _GAP, 3), np.uint8)
    scale = frame_text_scale(*left.shape[:2])
    line = text_size("Ag", scale)[1]
    title_bar = np.zeros((line + 6, left.shape[1] + _GAP + right.shape[1], 3), np.uint8)
    for title, image, start in zip(titles, (left, right), (0, left.shape[1] + _GAP), strict=True):
        bar = title_bar[:, start : start + image.shape[1]]
        write(bar, shorten(title, image.shape[1], scale), 0, 3, scale)
    return np.vstack([title_bar, np.hstack([left, gap, right])])


def tile(frames: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Puts pictures of one size into rows of `columns`; what is left of the last row is black."""
    blank = np.zeros_like(frames[0])
    padded = [*frames, *[blank] * (-len(frames) % columns)]
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    return np.vstack(rows)


def with_height(image: np.ndarray, height: int) -> np.ndarray:
    """A picture scaled to a height, pixels."""
    return resize(image, (max(1, round(image.shape[1] * height / image.shape[0])), height))


def with_width(image: np.ndarray, width: int) -> np.ndarray:
    """A picture scaled to a width, pixels."""
    return resize(image, (width, max(1, round(image.shape[0] * width / image.shape[1]))))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A copy of a picture in another size, (width, height) pixels, without aliasing."""
    is_smaller = size[0] < image.shape[1] or size[1] < image.shape[0]
    method = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=method)
