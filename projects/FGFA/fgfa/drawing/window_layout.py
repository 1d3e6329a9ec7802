"""Which frames of a window are shown, and where they stand in a strip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .lettering import BLACK, WHITE, Color, shorten, text_size, write

KEY_COLOR: Color = (0, 215, 255)
GAP = 2  # pixels between two thumbnails
# At a width of 960 pixels and below; wider strips are looked at from farther away, but not in
# proportion, so that they show more frames.
_TEXT_SCALE = 0.4
_LEAST_WIDTH = 88  # of a thumbnail, at that text scale
_LARGEST_SHARE = 3  # a thumbnail is not wider than a third of the strip


@dataclass(frozen=True)
class Columns:
    """The thumbnails of a strip.

    Attributes:
        width: of the strip, pixels.
        positions: the shown positions of the window, ascending.
        lefts: the left side of each, pixels.
        size: width and height of a thumbnail, pixels.
        text_scale: of OpenCV's font.
    """

    width: int
    positions: list[int]
    lefts: list[int]
    size: tuple[int, int]
    text_scale: float

    @staticmethod
    def fit(width: int, length: int, key: int, frame_size: tuple[int, int]) -> Columns:
        """As many thumbnails as can be looked at.

        Args:
            width: of the strip, pixels.
            length: positions of the window, T.
            key: position of the key frame.
            frame_size: height and width of a frame, pixels.
        """
        scale = _TEXT_SCALE * max(1.0, math.sqrt(width / 960))
        count = int((width + GAP) // (_LEAST_WIDTH * scale / _TEXT_SCALE + GAP))
        positions = choose_positions(length, key, max(count, 1))
        share = (width + GAP) // len(positions) - GAP
        thumb_width = max(1, min(share, max(width // _LARGEST_SHARE, _LEAST_WIDTH), width))
        thumb_height = max(1, round(thumb_width * frame_size[0] / frame_size[1]))
        used = len(positions) * (thumb_width + GAP) - GAP
        start = (width - used) // 2
        lefts = [start + i * (thumb_width + GAP) for i in range(len(positions))]
        return Columns(width, positions, lefts, (thumb_width, thumb_height), scale)

    @property
    def line_height(self) -> int:
        """Pixels of a line of text with some air."""
        return text_size("Ag", self.text_scale)[1] + 4

    def row(self, thumbnails: Sequence[np.ndarray]) -> np.ndarray:
        """Puts thumbnails, BGR, into their columns; returns (height, width, 3)."""
        canvas = np.zeros((self.size[1] + GAP, self.width, 3), np.uint8)
        for left, thumbnail in zip(self.lefts, thumbnails, strict=True):
            canvas[: self.size[1], left : left + self.size[0]] = thumbnail
        return canvas

    def header(self, title: str, legend: np.ndarray | None = None) -> np.ndarray:
        """A line with a title on the left and a legend, as high as it, on the right."""
        canvas = np.zeros((self.line_height, self.width, 3), np.uint8)
        space = self.width - 4
        if legend is not None and legend.shape[1] <= self.width:
            canvas[:, self.width - legend.shape[1] :] = legend
            space -= legend.shape[1] + 8
        write(canvas, shorten(title, space, self.text_scale), 0, 2, self.text_scale)
        return canvas

    def text(self, text: str) -> np.ndarray:
        """A line of text as a picture of its own, as high as a header."""
        canvas = np.zeros((self.line_height, text_size(text, self.text_scale)[0] + 4, 3), np.uint8)
        write(canvas, text, 2, 2, self.text_scale)
        return canvas

    def label(self, thumbnail: np.ndarray, text: str, below: bool = False) -> None:
        """Writes a text into the upper, or lower, left corner of a thumbnail, which changes."""
        text = shorten(text, thumbnail.shape[1], self.text_scale)
        top = thumbnail.shape[0] if below else 0
        write(thumbnail, text, 0, top, self.text_scale, WHITE, fill=BLACK)


def choose_positions(length: int, key: int, count: int) -> list[int]:
    """Up to `count` of the positions 0..length-1: the key, the ends, and between them even steps.

    Around a key in the middle there are as many before as behind it. Two of three are not enough
    for key and ends, which gives the key alone.
    """
    if count >= length:
        return list(range(length))
    behind_key = length - 1 - key
    if key == behind_key:
        count -= 1 - count % 2
    before = round((count - 1) * key / (length - 1))
    # An end with frames is shown where there is room for it.
    if key > 0 and behind_key > 0 and count >= 3:
        before = min(max(before, 1), count - 2)
    behind = count - 1 - before
    earlier = [key - round(key * i / before) for i in range(before, 0, -1)]
    later = [key + round(behind_key * i / behind) for i in range(1, behind + 1)]
    return [*earlier, key, *later]
