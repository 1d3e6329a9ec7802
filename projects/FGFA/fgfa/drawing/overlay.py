"""Maps of the network's cells over the frame that they belong to."""

import cv2
import numpy as np

# Black of the frame becomes this gray, so that colors can be told apart there too.
_DARKEST = 80


def cell_size(frame_size: tuple[int, int], cells: tuple[int, int]) -> float:
    """Side of a cell of a map, in pixels of the frame that the map covers.

    A map begins at the frame's upper left corner and ends on the last cell that the frame touches,
    or beyond it, where the frame was padded. Cells are square, so the larger of the two ratios is
    the nearer one.

    Args:
        frame_size: height and width of the frame, pixels.
        cells: height and width of the map, cells.
    """
    return max(frame_size[0] / cells[0], frame_size[1] / cells[1])


def tint(frame: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """The frame in gray, colored by a map; where the map is white it stays gray.

    Args:
        frame: BGR, uint8, (H, W, 3).
        colors: BGR, uint8, (h, w, 3), one for each cell of a map of the frame.

    Returns:
        BGR, uint8, (H, W, 3).
    """
    height, width = frame.shape[:2]
    cell = cell_size((height, width), colors.shape[:2])
    covered = tuple(max(1, round(side * cell)) for side in colors.shape[1::-1])
    smooth = cv2.resize(colors, covered, interpolation=cv2.INTER_LINEAR)[:height, :width]
    gray = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_BGR2GRAY)
    lifted = cv2.convertScaleAbs(gray, alpha=1 - _DARKEST / 255, beta=_DARKEST)
    return cv2.multiply(smooth, cv2.merge([lifted] * 3), scale=1 / 255)
