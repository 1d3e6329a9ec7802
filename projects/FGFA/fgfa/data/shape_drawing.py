"""Outlines and textures of the moving shapes."""

import cv2
import numpy as np

from fgfa.data.compositing import rotation

SHAPES = ("circle", "square", "triangle", "star", "cross")


def shape_outline(name: str) -> np.ndarray:
    """Corners (n, 2) of a shape that touches the unit circle around the origin.

    Args:
        name: one of SHAPES.
    """
    if name == "circle":
        return _around(np.ones(48))
    if name == "square":
        return _around(np.ones(4))
    if name == "triangle":
        return _around(np.ones(3))
    if name == "star":
        return _around(np.tile([1.0, 0.4], 5))
    arm = np.array([[1.0, -0.3], [1.0, 0.3], [0.3, 0.3]]) / np.hypot(1.0, 0.3)
    return np.concatenate([arm @ rotation(quarter * np.pi / 2).T for quarter in range(4)])


def noise_texture(
    rng: np.random.Generator, size: tuple[int, int], color: np.ndarray, *, contrast: float
) -> np.ndarray:
    """Smooth noise of several scales around a color.

    Args:
        size: height and width, pixels.
        color: three values in 0-255.
        contrast: standard deviation of the coarsest scale, gray levels.

    Returns:
        (H, W, 3) uint8.
    """
    texture = np.tile(np.float32(color), (*size, 1))
    for cell, share in ((48, 1.0), (16, 0.6), (6, 0.4)):
        grid = (size[0] // cell + 2, size[1] // cell + 2)
        gray = rng.normal(0, contrast * share, (*grid, 1))
        tint = rng.normal(0, contrast * share / 4, (*grid, 3))
        noise = (gray + tint).astype(np.float32)
        texture += cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(texture, 0, 255).astype(np.uint8)


def shape_texture(rng: np.random.Generator, outline: np.ndarray) -> np.ndarray:
    """Saturated, striped noise inside an outline, with smooth edges.

    Args:
        outline: (n, 2) corners around the middle of the texture, pixels.

    Returns:
        (side, side, 4) uint8, BGR and coverage.
    """
    side = int(2 * np.abs(outline).max()) + 5
    hsv = np.array([[[rng.integers(180), 200, rng.integers(120, 230)]]], np.uint8)
    color = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]
    texture = noise_texture(rng, (side, side), color, contrast=20).astype(np.float32)
    pitch, angle = rng.uniform(0.3, 1.0), rng.uniform(0, np.pi)
    y, x = np.mgrid[:side, :side]
    texture += 25 * np.sin(pitch * (x * np.cos(angle) + y * np.sin(angle)))[..., None]
    # cv2 takes the corners in 1/16 pixels.
    corners = np.rint(16 * (outline + (side - 1) / 2)).astype(np.int32)
    coverage = np.zeros((side, side), np.uint8)
    cv2.fillPoly(coverage, [corners], 255, lineType=cv2.LINE_AA, shift=4)
    return np.dstack([np.clip(texture, 0, 255).astype(np.uint8), coverage])


def _around(radii: np.ndarray) -> np.ndarray:
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
