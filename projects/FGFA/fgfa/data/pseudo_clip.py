"""A clip made of one still: a moving camera, objects that move in it, and cut-outs over it.

Every frame is drawn from the same layers, so the flow between any two is known exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from fgfa.data.compositing import affine, apply_affine, draw_over, rotation

CELL = 16  # pixels along each side of a feature cell
_POINTS = 4  # along each side of a cell, at which its flow is taken


class Path(NamedTuple):
    """A smooth motion; at time 0 everything is in its place. Time is in frames.

    Attributes:
        center: (2,), the point x, y that turns and zooms leave where it is, pixels.
        shift: (2,), pixels per frame.
        bend: (2,), change of `shift` per frame.
        zoom: logarithm of the scale gained per frame.
        turn: radians per frame, from x towards y.
    """

    center: np.ndarray
    shift: np.ndarray
    bend: np.ndarray
    zoom: float = 0.0
    turn: float = 0.0

    def displacement(self, time: float) -> np.ndarray:
        """Way (2,) of the center until `time`, pixels."""
        return time * self.shift + time**2 / 2 * self.bend

    def at(self, time: float) -> np.ndarray:
        """The 3x3 affine matrix from places at time 0 to those at `time`."""
        linear = np.exp(self.zoom * time) * rotation(self.turn * time)
        return affine(linear, self.center + self.displacement(time) - linear @ self.center)


class Mover(NamedTuple):
    """A part of the still that moves on its own, and pulls its surroundings along.

    Nothing has to be made up for the place that it leaves: the still is stretched there.

    Attributes:
        box: x1, y1, x2, y2 in the still, pixels.
        path: its motion in the still; only the shift counts.
    """

    box: np.ndarray
    path: Path

    def pull(self, points: np.ndarray, time: float) -> np.ndarray:
        """Displacement (..., 2) of what is at `points` (..., 2) of the moved still at `time`."""
        way = self.path.displacement(time)
        # Twice the way keeps the map one-to-one: its slope stays below 1.5 / 2.
        margin = 2 * np.abs(way).max() + 0.25 * (self.box[2:] - self.box[:2]).min() + 4
        low, high = (corner + way for corner in (self.box[:2], self.box[2:]))
        outside = np.maximum(np.maximum(low - points, points - high), 0) / margin
        near = np.clip(1 - outside, 0, 1)
        share = (near * near * (3 - 2 * near)).prod(axis=-1, keepdims=True)
        return share * way


class Sprite(NamedTuple):
    """A cut-out that moves over the still.

    Attributes:
        texture: (h, w, 4) uint8, three colors and the coverage.
        place: 3x3, the texture's pixel (x, y, 1) to the key frame's.
        path: its own motion, pixels of the frame, to which the camera's is added.
    """

    texture: np.ndarray
    place: np.ndarray
    path: Path


@dataclass(frozen=True)
class PseudoClip:
    """The layers of a clip. Time 0 is the key frame.

    Attributes:
        still: (h, w, 3) uint8; mirrored beyond its border.
        size: height and width of the frames, pixels.
        place: 3x3, the still's pixel (x, y, 1) to the key frame's.
        camera: the motion of everything, pixels of the frame.
        movers: parts of the still in motion.
        sprites: what is drawn over it, in this order.
    """

    still: np.ndarray
    size: tuple[int, int]
    place: np.ndarray
    camera: Path
    movers: Sequence[Mover] = ()
    sprites: Sequence[Sprite] = ()

    def draw(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Draws a frame.

        Returns:
            (H, W, 3) uint8, and (H, W) uint8: 1 + the index of the sprite seen at each pixel, or 0
            for the still.
        """
        source = self._sources(time)
        frame = cv2.remap(
            self.still, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        places = [self._motion(sprite, time) @ sprite.place for sprite in self.sprites]
        return draw_over(frame, [sprite.texture for sprite in self.sprites], places)

    def flow(self, time: float, seen: np.ndarray) -> np.ndarray:
        """Flow from the key frame to the frame at `time`, averaged over each feature cell.

        What is hidden in the other frame has its flow all the same.

        Args:
            time: of the other frame.
            seen: the sprites seen in the key frame, see `draw`.

        Returns:
            (2, ceil(H / 16), ceil(W / 16)) float32, channel 0 = x, in cells.
        """
        height, width = (-(-side // CELL) for side in self.size)
        step = CELL // _POINTS
        x, y = (step * np.arange(_POINTS * n) + (step - 1) / 2 for n in (width, height))
        points = np.stack(np.meshgrid(x, y), axis=-1)
        rows, columns = (
            np.minimum(p.astype(int), side - 1) for p, side in zip((y, x), self.size, strict=True)
        )
        seen = seen[rows[:, None], columns]
        targets = self._follow_still(points, time)
        for index, sprite in enumerate(self.sprites, start=1):
            covered = seen == index
            targets[covered] = apply_affine(self._motion(sprite, time), points[covered])
        flow = ((targets - points) / CELL).reshape(height, _POINTS, width, _POINTS, 2)
        return flow.mean(axis=(1, 3)).transpose(2, 0, 1).astype(np.float32)

    def _motion(self, sprite: Sprite, time: float) -> np.ndarray:
        return self.camera.at(time) @ sprite.path.at(time)

    def _sources(self, time: float) -> np.ndarray:
        """Place in the still of what each pixel of a frame shows, (H, W, 2) float32.

        It is computed at every fourth pixel: the motion is smooth.
        """
        height, width = self.size
        x, y = (4 * np.arange(-1, -(-side // 4) + 1) + 1.5 for side in (width, height))
        points = np.stack(np.meshgrid(x, y), axis=-1)
        moved = apply_affine(np.linalg.inv(self.camera.at(time) @ self.place), points)
        sources = (moved - self._pull(moved, time)).astype(np.float32)
        fine = cv2.resize(sources, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
        return fine[4 : 4 + height, 4 : 4 + width]

    def _follow_still(self, points: np.ndarray, time: float) -> np.ndarray:
        """Places (..., 2) in the frame at `time` of what the key frame has at `points`."""
        still = apply_affine(np.linalg.inv(self.place), points)
        moved = still
        for _ in range(12):  # a contraction by 3/4 at most where movers keep apart
            moved = still + self._pull(moved, time)
        return apply_affine(self.camera.at(time) @ self.place, moved)

    def _pull(self, points: np.ndarray, time: float) -> np.ndarray:
        return sum((m.pull(points, time) for m in self.movers), start=0 * points)
