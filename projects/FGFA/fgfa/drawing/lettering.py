"""Text in pictures, never outside of them."""

import cv2
import numpy as np

Color = tuple[int, int, int]  # BGR, 0 to 255

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SMALLEST = 0.42  # the least scale of OpenCV's font that can be read
_PAD = 2  # pixels on either side of a line


def frame_text_scale(height: int, width: int) -> float:
    """The scale of OpenCV's font for labels in a frame, in proportion to its shorter side."""
    return max(_SMALLEST, min(height, width) / 1000)


def text_size(text: str, scale: float) -> tuple[int, int]:
    """Width, with some air, and height, with what hangs below the line, in pixels."""
    (width, height), descent = cv2.getTextSize(text, _FONT, scale, 1)
    return width + 2 * _PAD, height + descent


def shorten(text: str, width: int, scale: float) -> str:
    """As much of a text as fits into `width` pixels, with dots at the end where it was cut."""
    if text_size(text, scale)[0] <= width:
        return text
    kept = (text[:end].rstrip() + ".." for end in range(len(text) - 1, 0, -1))
    return next((cut for cut in kept if text_size(cut, scale)[0] <= width), "")


def write(
    image: np.ndarray,
    text: str,
    left: int,
    top: int,
    scale: float,
    ink: Color = WHITE,
    fill: Color | None = None,
) -> None:
    """Writes a line of text into an image, which changes.

    Args:
        image: BGR, uint8, (H, W, 3).
        text: ASCII; OpenCV's font has no more.
        left: pixels; what would lie outside of the image is moved into it.
        top: the same.
        scale: of OpenCV's font.
        ink: color of the letters.
        fill: color of the ground behind them, if there is to be one.
    """
    width, height = text_size(text, scale)
    left = min(max(left, 0), max(image.shape[1] - width, 0))
    top = min(max(top, 0), max(image.shape[0] - height, 0))
    if fill is not None:
        cv2.rectangle(image, (left, top), (left + width, top + height), fill, cv2.FILLED)
    descent = cv2.getTextSize(text, _FONT, scale, 1)[1]
    line = (left + _PAD, top + height - descent)
    cv2.putText(image, text, line, _FONT, scale, ink, 1, cv2.LINE_AA)


def ink_on(color: Color) -> Color:
    """Black or white, whichever can be read better on a color."""
    luma = 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2]
    return BLACK if luma > 127 else WHITE
