"""Random clips made of annotated stills, so that training sees motion, blur and occlusion."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from detectron2.config import CfgNode, configurable
from detectron2.data import DatasetCatalog

from fgfa.data.compositing import affine, apply_affine, rotation
from fgfa.data.cutouts import Cutout, ObjectCutouts
from fgfa.data.filming import compress, defocus, expose, lower_resolution, motion_blur
from fgfa.data.pseudo_clip import Mover, Path, PseudoClip, Sprite

# A still is this much larger than the frames made of it, so that they can zoom in on it.
MARGIN = 1.25
_MOST_MOVERS = 3
# Largest motion per frame; most is far smaller.
_CAMERA_SHIFT = 0.02  # of the frame's short side
_CAMERA_ZOOM = 0.008
_CAMERA_TURN = 0.006  # radians
_OBJECT_SHIFT = 0.1  # of the object's size
# Least part of an object that is in the frame, and that nothing covers, where it is annotated.
_LEAST_INSIDE = 0.35
_LEAST_VISIBLE = 0.2


class AnnotatedClip(NamedTuple):
    """Some frames of a clip.

    Attributes:
        frames: (H, W, 3) uint8 each, the key frame first.
        boxes: (N, 4), x1 y1 x2 y2 of the objects in the key frame, pixels.
        categories: (N,), their category ids.
        flows: for each frame but the first the flow from the key frame to it,
            (2, ceil(H / 16), ceil(W / 16)) float32, channel 0 = x, in cells of 16 pixels.
    """

    frames: list[np.ndarray]
    boxes: np.ndarray
    categories: np.ndarray
    flows: list[np.ndarray]


class PseudoClips:
    """Makes clips of annotated stills (an addition to the paper, which repeats a still).

    The camera moves, the still's objects move in it, and cut-outs of other objects over it. Single
    frames are blurred, out of focus, of low resolution or covered in part: what a frame lacks has
    to come from its neighbors.
    """

    @configurable
    def __init__(
        self, cutouts: ObjectCutouts | None = None, most_cutouts: int = 2, degraded: float = 0.3
    ) -> None:
        """
        Args:
            cutouts: objects to paste; None pastes none.
            most_cutouts: largest number of objects pasted into a clip.
            degraded: probability of a bad frame.
        """
        self.cutouts = cutouts
        self.most_cutouts = most_cutouts
        self.degraded = degraded

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        keys = cfg.INPUT.PSEUDO_CLIPS
        frames = [frame for name in cfg.DATASETS.TRAIN for frame in DatasetCatalog.get(name)]
        return {
            "cutouts": ObjectCutouts(frames, cfg.INPUT.FORMAT) if keys.CUTOUTS else None,
            "most_cutouts": keys.CUTOUTS,
            "degraded": keys.DEGRADED,
        }

    def make(
        self,
        still: np.ndarray,
        boxes: np.ndarray,
        categories: np.ndarray,
        times: Sequence[float],
        rng: np.random.Generator,
    ) -> AnnotatedClip:
        """Makes a clip, and draws its key frame and the frames at some times.

        Args:
            still: (h, w, 3) uint8. The frames are 1 / MARGIN times as large.
            boxes: (N, 4), x1 y1 x2 y2 of the objects in it, pixels.
            categories: (N,), their category ids.
            times: of the other frames, in frames after the key frame (before it where negative).
            rng: source of the randomness.

        Raises:
            InputError: a frame that an object is cut out of cannot be read.
        """
        size = tuple(round(side / MARGIN) for side in still.shape[:2])
        cutouts = self._draw_cutouts(rng)
        sprites = [_as_sprite(cutout, size, rng) for cutout in cutouts]
        clip = PseudoClip(
            still,
            size,
            _random_place(still, size, rng),
            _random_camera(size, rng),
            [Mover(box, _random_path(box, rng)) for box in _some(boxes, _MOST_MOVERS, rng)],
            sprites,
        )
        key, seen = clip.draw(0)
        key, covered = self._film(key, rng)
        visible = np.where(covered, len(sprites) + 1, seen)
        boxes, categories = _annotate(boxes, categories, clip, cutouts, visible)
        others = [self._film(clip.draw(time)[0], rng)[0] for time in times]
        flows = [clip.flow(time, seen) for time in times]
        return AnnotatedClip([key, *others], boxes, categories, flows)

    def _draw_cutouts(self, rng: np.random.Generator) -> list[Cutout]:
        if self.cutouts is None:
            return []
        drawn = [self.cutouts.draw(rng) for _ in range(rng.integers(self.most_cutouts + 1))]
        return [cutout for cutout in drawn if cutout is not None]

    def _film(self, frame: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The frame as a camera takes it, and where something in front covers it, (H, W) bool."""
        covered = np.zeros(frame.shape[:2], bool)
        if rng.random() < self.degraded:
            frame, covered = _degrade(frame, rng)
        frame = expose(frame, rng, noisy=0.3)
        return compress(frame, int(rng.integers(30, 96))), covered


def _degrade(frame: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bad frame, and where something in front covers it."""
    unit = min(frame.shape[:2]) / 100
    covered = np.zeros(frame.shape[:2], bool)
    kind = rng.integers(4)
    if kind == 0:
        frame = motion_blur(frame, unit * rng.uniform(1, 5), rng.uniform(0, np.pi))
    elif kind == 1:
        frame = defocus(frame, unit * rng.uniform(0.25, 1))
    elif kind == 2:
        frame = lower_resolution(frame, rng.uniform(0.25, 0.6))
    else:
        frame, covered = _cover(frame, rng)
    return frame, covered


def _cover(frame: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Puts something out of focus, of the frame's own colors, in front of the camera."""
    height, width = frame.shape[:2]
    radii = min(height, width) * rng.uniform(0.05, 0.25, 2)
    mask = np.zeros((height, width), np.float32)
    center = rng.uniform((0, 0), (width, height)).astype(int).tolist()
    angle = rng.uniform(0, 180)
    cv2.ellipse(mask, center, radii.astype(int).tolist(), angle, 0, 360, 1.0, cv2.FILLED)
    mask = cv2.GaussianBlur(mask, (0, 0), 2)[..., None]
    blurred = cv2.blur(frame, (31, 31))
    front = np.roll(blurred, rng.integers((height, width)), axis=(0, 1))
    mixed = frame + mask * (front.astype(np.float32) - frame)
    return np.rint(mixed).astype(np.uint8), mask[..., 0] > 0.5


def _random_place(still: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The still to the key frame: all of it, or a part, turned a little."""
    sides, frame = np.array(still.shape[1::-1]), np.array(size[::-1])
    scale = rng.uniform(1, 1.4) / MARGIN
    room = scale * sides - frame
    linear = scale * rotation(rng.normal(0, 0.02))
    middle = frame / 2 + rng.uniform(-0.5, 0.5, 2) * room
    return affine(linear, middle - linear @ (sides / 2))


def _random_camera(size: tuple[int, int], rng: np.random.Generator) -> Path:
    center = np.array(size[::-1]) / 2
    if rng.random() < 0.25:  # cameras often stand still
        return Path(center, np.zeros(2), np.zeros(2))
    shift, bend = _random_shift(_CAMERA_SHIFT * min(size), rng)
    zoom, turn = rng.uniform(-1, 1, 2) ** 3 * (_CAMERA_ZOOM, _CAMERA_TURN)
    return Path(center, shift, bend, zoom, turn)


def _random_path(box: np.ndarray, rng: np.random.Generator) -> Path:
    """The motion of the object in a box."""
    size = np.sqrt((box[2:] - box[:2]).prod())
    return Path((box[:2] + box[2:]) / 2, *_random_shift(_OBJECT_SHIFT * size, rng))


def _random_shift(largest: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A velocity, and its change: it would take some ten frames to turn around."""
    speed = largest * rng.random() ** 2
    return tuple(
        length * (rotation(rng.uniform(0, 2 * np.pi)) @ (1, 0))
        for length in (speed, 0.1 * speed * rng.random())
    )


def _as_sprite(cutout: Cutout, size: tuple[int, int], rng: np.random.Generator) -> Sprite:
    """Places a cut-out anywhere, and sets it in motion, by which it is blurred."""
    sides = cutout.box[2:] - cutout.box[:2]
    scale = min(size) * rng.uniform(0.12, 0.6) / np.sqrt(sides.prod())
    linear = scale * rotation(rng.normal(0, 0.1)) @ np.diag([rng.choice([-1, 1]), 1])
    middle = rng.uniform((0, 0), size[::-1])
    place = affine(linear, middle - linear @ ((cutout.box[:2] + cutout.box[2:]) / 2))
    path = _random_path(_map_boxes(cutout.box[None], place)[0], rng)
    velocity = np.linalg.inv(linear) @ path.shift
    exposure = rng.uniform(0, 1)  # of the time between two frames
    length = min(exposure * np.hypot(*velocity), 0.3 * sides.min())
    texture = motion_blur(cutout.texture, length, np.arctan2(velocity[1], velocity[0]))
    return Sprite(texture, place, path)


def _some(boxes: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    return boxes[rng.permutation(len(boxes))[: rng.integers(most + 1)]]


def _annotate(
    boxes: np.ndarray,
    categories: np.ndarray,
    clip: PseudoClip,
    cutouts: Sequence[Cutout],
    visible: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and categories (N,) of the objects that one can see in the key frame.

    Args:
        boxes, categories: of the still's objects.
        clip: the layers.
        cutouts: what its sprites are made of.
        visible: (H, W), the layer seen at each pixel: 0 the still, 1 + index a sprite.
    """
    layers = np.concatenate([np.zeros(len(boxes), int), 1 + np.arange(len(cutouts))])
    places = [clip.place] * len(boxes) + [sprite.place for sprite in clip.sprites]
    whole = [*boxes, *(cutout.box for cutout in cutouts)]
    categories = np.concatenate([categories, [cutout.category for cutout in cutouts]]).astype(int)
    mapped = np.array(
        [_map_boxes(box[None], place)[0] for box, place in zip(whole, places, strict=True)]
    ).reshape(-1, 4)
    clipped = np.clip(mapped, 0, np.tile(clip.size[::-1], 2))
    kept = [
        index
        for index, (layer, box, inside) in enumerate(zip(layers, mapped, clipped, strict=True))
        if _is_visible(visible, layer, box, inside)
    ]
    return clipped[kept], categories[kept]


def _is_visible(visible: np.ndarray, layer: int, box: np.ndarray, inside: np.ndarray) -> bool:
    sides = inside[2:] - inside[:2]
    if sides.min() < 4 or sides.prod() < _LEAST_INSIDE * (box[2:] - box[:2]).prod():
        return False
    x1, y1, x2, y2 = inside.round().astype(int)
    return bool((visible[y1:y2, x1:x2] == layer).mean() >= _LEAST_VISIBLE)


def _map_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) around boxes that are moved by a 3x3 matrix from pixel to pixel.

    The corners of a box lie on the edges of pixels, half a pixel before their middles.
    """
    corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]] - 0.5
    moved = apply_affine(matrix, corners) + 0.5
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)
