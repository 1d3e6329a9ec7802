"""Textures in affine placement, drawn over each other: the base of all synthetic images."""

from collections.abc import Sequence

import cv2
import numpy as np


def affine(linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The 3x3 matrix of `x -> linear @ x + shift`; linear is 2x2, shift (2,)."""
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, shift
    return matrix


def rotation(angle: float) -> np.ndarray:
    """The 2x2 matrix of a turn by `angle` radians, from x towards y."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def apply_affine(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Maps points (..., 2) by a 3x3 affine matrix."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def opaque(texture: np.ndarray) -> np.ndarray:
    """Adds full coverage to a texture (h, w, 3) uint8."""
    return np.dstack([texture, np.full(texture.shape[:2], 255, np.uint8)])


def composite(
    textures: Sequence[np.ndarray], to_frame: Sequence[np.ndarray], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draws textures from back to front.

    Args:
        textures: each (h, w, 4) uint8, three colors and the coverage. The first one is the
            background: opaque, and mirrored beyond its border. The others end at their border.
        to_frame: for each texture the 3x3 affine matrix from its pixels (x, y, 1) to the frame's.
        size: height and width of the frame.

    Returns:
        The frame, (H, W, 3) uint8, and the index of the texture seen at each pixel, (H, W) uint8.
    """
    background, *others = textures
    to_background, *to_others = to_frame
    mirrored = cv2.BORDER_REFLECT_101
    frame = cv2.warpAffine(background, to_background[:2], size[::-1], borderMode=mirrored)
    return draw_over(frame[..., :3], others, to_others)


def draw_over(
    frame: np.ndarray, textures: Sequence[np.ndarray], to_frame: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Draws textures over a frame, from back to front.

    Args:
        frame: (H, W, 3) uint8; it is left as it is.
        textures: each (h, w, 4) uint8, three colors and the coverage.
        to_frame: for each texture the 3x3 affine matrix from its pixels (x, y, 1) to the frame's.

    Returns:
        The new frame, and (H, W) uint8: 1 + the index of the texture seen at each pixel, or 0.
    """
    drawn = frame.astype(np.float32)
    seen = np.zeros(frame.shape[:2], np.uint8)
    for index, (texture, matrix) in enumerate(zip(textures, to_frame, strict=True), start=1):
        _draw(texture, matrix, index, drawn, seen)
    return np.rint(drawn).astype(np.uint8), seen


def _draw(
    texture: np.ndarray, matrix: np.ndarray, index: int, frame: np.ndarray, seen: np.ndarray
) -> None:
    """Draws a texture in the part of the frame that it reaches."""
    height, width = texture.shape[:2]
    corners = np.array([[-1, -1, 1], [width, -1, 1], [-1, height, 1], [width, height, 1]])
    reached = corners @ matrix[:2].T
    x1, y1 = np.clip(np.floor(reached.min(axis=0)), 0, frame.shape[1::-1]).astype(int)
    x2, y2 = np.clip(np.ceil(reached.max(axis=0)) + 1, 0, frame.shape[1::-1]).astype(int)
    if x1 == x2 or y1 == y2:
        return
    to_part = matrix[:2] - [[0, 0, x1], [0, 0, y1]]
    drawn = cv2.warpAffine(texture, to_part, (int(x2 - x1), int(y2 - y1)))
    part = frame[y1:y2, x1:x2]
    part += drawn[..., 3:] * np.float32(1 / 255) * (drawn[..., :3] - part)
    seen[y1:y2, x1:x2][drawn[..., 3] > 127] = index
