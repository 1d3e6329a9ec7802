"""Procedurally drawn scenes of moving shapes, for a video detector's first steps.

The shapes are easy to find and hard to tell apart in some single frames: those are out of focus,
exposed long, or have a bar in front. The frames before and after are not, as a rule.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from fgfa.data.compositing import affine, composite, opaque, rotation
from fgfa.data.shape_drawing import SHAPES, noise_texture, shape_outline, shape_texture

# Shift in a frame, as a share of the shape's size. Motion IoU over 10 frames each way comes to more
# than 0.9, 0.7 to 0.9, and less than 0.7.
SPEEDS = {"slow": (0.0, 0.006), "medium": (0.014, 0.026), "fast": (0.05, 0.14)}
MISHAPS = {"none": 0.55, "defocus": 0.15, "long exposure": 0.15, "bars": 0.15}
EXPOSURE = 1.5  # length of a long exposure, in frame intervals
EXPOSURE_SAMPLES = 8
MIN_VISIBLE = 0.2  # share of a shape's area that has to be seen for a box
OCCLUDED_BELOW = 0.75  # share of a shape's area


class VisibleShape(NamedTuple):
    """A shape in a frame.

    Attributes:
        track_id: number of the shape in its scene.
        name: one of SHAPES.
        box: x1, y1, x2, y2 of the whole shape, hidden parts included, cut at the frame's border;
            whole pixels, both corners inside.
        occluded: whether a good part of the shape is hidden or outside the frame.
    """

    track_id: int
    name: str
    box: tuple[int, int, int, int]
    occluded: bool


@dataclass(frozen=True)
class MovingShape:
    """A textured shape that moves evenly, turns, and bounces where its center nears the border.

    Attributes:
        name: one of SHAPES.
        texture: (side, side, 4) uint8, BGR and coverage, the shape's center in the middle.
        outline: (n, 2) x and y of the shape's outline around its center, pixels.
        start: (2,) center in frame 0, pixels.
        velocity: (2,) pixels a frame.
        angle: orientation in frame 0, radians.
        spin: radians a frame.
        bounds: (2, 2) lowest and highest center, pixels.
    """

    name: str
    texture: np.ndarray
    outline: np.ndarray
    start: np.ndarray
    velocity: np.ndarray
    angle: float
    spin: float
    bounds: np.ndarray

    def center(self, time: float) -> np.ndarray:
        """(2,) x and y at a time in frames."""
        low, high = self.bounds
        way = (self.start + time * self.velocity - low) % (2 * (high - low))
        return low + np.minimum(way, 2 * (high - low) - way)

    def to_frame(self, time: float) -> np.ndarray:
        """3x3, from the texture's pixels to the frame's."""
        linear = rotation(self.angle + time * self.spin)
        middle = np.full(2, (len(self.texture) - 1) / 2)
        return affine(linear, self.center(time) - linear @ middle)

    def box(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest x and y of the outline, pixels."""
        points = self.outline @ rotation(self.angle + time * self.spin).T + self.center(time)
        return points.min(axis=0), points.max(axis=0)


class ShapeScene:
    """A textured background with 2 to 4 moving shapes; later ones pass in front of earlier ones."""

    def __init__(self, size: tuple[int, int], seed: int | list[int]) -> None:
        """
        Args:
            size: height and width of the frames, pixels.
            seed: of everything in the scene.
        """
        self.size = size
        self.rng = np.random.default_rng(seed)
        color = self.rng.uniform(60, 190) + self.rng.uniform(-25, 25, 3)
        self.background = opaque(noise_texture(self.rng, size, color, contrast=45))
        names = self.rng.permutation(SHAPES)[: self.rng.integers(2, 5)]
        # Each speed comes before any comes again.
        speeds = [*self.rng.permutation(list(SPEEDS)), self.rng.choice(list(SPEEDS))]
        pairs = zip(names, speeds, strict=False)
        self.shapes = [self._random_shape(str(name), str(speed)) for name, speed in pairs]

    def draw(self, time: int) -> tuple[np.ndarray, list[VisibleShape]]:
        """Draws a frame, with a mishap drawn at random.

        Args:
            time: number of the frame. Frames are drawn in order to be the same in every run.

        Returns:
            The frame, (H, W, 3) uint8 BGR, and the shapes of which enough is seen.
        """
        mishap = self.rng.choice(list(MISHAPS), p=list(MISHAPS.values()))
        bars, places = self._random_bars(time) if mishap == "bars" else ([], [])
        frame, seen = self._composite(time, bars, places)
        if mishap == "long exposure":
            frame = self._expose(time)
        elif mishap == "defocus":
            sigma = min(self.size) * self.rng.uniform(0.015, 0.035)
            frame = cv2.GaussianBlur(frame, (0, 0), sigma)
        noise = self.rng.standard_normal(frame.shape, dtype=np.float32) * 3
        noisy = np.clip(frame + noise, 0, 255).astype(np.uint8)
        return noisy, self._visible(time, seen)

    def _composite(
        self, time: float, bars: list[np.ndarray], places: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        textures = [self.background, *(shape.texture for shape in self.shapes), *bars]
        to_frame = [np.eye(3), *(shape.to_frame(time) for shape in self.shapes), *places]
        return composite(textures, to_frame, self.size)

    def _expose(self, time: int) -> np.ndarray:
        """Mean of moments around `time`: faster shapes blur more."""
        moments = time + EXPOSURE * ((np.arange(EXPOSURE_SAMPLES) + 0.5) / EXPOSURE_SAMPLES - 0.5)
        frames = [self._composite(moment, [], [])[0] for moment in moments]
        return np.mean(frames, axis=0, dtype=np.float32)

    def _visible(self, time: int, seen: np.ndarray) -> list[VisibleShape]:
        height, width = self.size
        visible = []
        for track_id, shape in enumerate(self.shapes):
            area = np.count_nonzero(shape.texture[..., 3] > 127)
            share = np.count_nonzero(seen == track_id + 1) / area
            if share < MIN_VISIBLE:
                continue
            corners = np.clip(np.rint(shape.box(time)), 0, (width - 1, height - 1)).astype(int)
            box = tuple(corners.flatten().tolist())
            visible.append(VisibleShape(track_id, shape.name, box, bool(share < OCCLUDED_BELOW)))
        return visible

    def _random_shape(self, name: str, speed: str) -> MovingShape:
        rng = self.rng
        length = min(self.size) * rng.uniform(0.3, 0.6)
        outline = shape_outline(name) * length / 2
        direction = rotation(rng.uniform(0, 2 * np.pi)) @ (1, 0)
        margin = 0.15 * length
        bounds = np.array([[margin, margin], np.array(self.size[::-1]) - 1 - margin])
        return MovingShape(
            name=name,
            texture=shape_texture(rng, outline),
            outline=outline,
            start=rng.uniform(*bounds),
            velocity=length * rng.uniform(*SPEEDS[speed]) * direction,
            angle=rng.uniform(0, 2 * np.pi),
            spin=rng.uniform(-1, 1) * {"slow": 0.003, "medium": 0.02, "fast": 0.1}[speed],
            bounds=bounds,
        )

    def _random_bars(self, time: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Long bars, each over some shape, and their places."""
        length, width = 2 * max(self.size), int(min(self.size) * 0.16)
        bars, places = [], []
        for _ in range(self.rng.integers(1, 4)):
            color = self.rng.uniform(30, 220, 3)
            bars.append(opaque(noise_texture(self.rng, (width, length), color, contrast=30)))
            shape = self.shapes[self.rng.integers(len(self.shapes))]
            linear = rotation(self.rng.uniform(0, np.pi))
            center = shape.center(time) + self.rng.uniform(-0.5, 0.5, 2) * width
            places.append(affine(linear, center - linear @ (length / 2, width / 2)))
        return bars, places
