"""Objects cut out of annotated frames along their outlines, to be pasted into others."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from fgfa.data.frame_reading import read_frame

_LONGEST_SIDE = 192  # pixels of a cut-out's box
_LONGEST_SIDE_FOR_OUTLINES = 96  # which are found in 40 ms then
_MARGIN = 0.15  # of background around a box, from which its colors are learned
_GRABCUT_ROUNDS = 3


class Cutout(NamedTuple):
    """An object without its background.

    Attributes:
        texture: (h, w, 4) uint8, three colors and the coverage.
        box: x1, y1, x2, y2 of the object in it, pixels.
        category: its category id.
    """

    texture: np.ndarray
    box: np.ndarray
    category: int


class ObjectCutouts:
    """Draws cut-outs from the frames of a data set, rare classes as often as frequent ones.

    The boxes do not say where in them the object is; GrabCut (Rother et al., SIGGRAPH 2004) finds
    it by its colors. Where what it finds does not fill the box, no cut-out is given.
    """

    def __init__(self, frames: Sequence[dict], image_format: str) -> None:
        """
        Args:
            frames: dicts of frames, see `fgfa.data.imagenet_vid.load_imagenet_vid`.
            image_format: order of the channels, "RGB" or "BGR".
        """
        self._frames = frames
        self._image_format = image_format
        objects = defaultdict(list)
        for i, frame in enumerate(frames):
            for j, annotation in enumerate(frame["annotations"]):
                if not annotation.get("iscrowd", 0):
                    objects[annotation["category_id"]].append((i, j))
        self._objects = [objects[category] for category in sorted(objects)]
        self._cut_out = lru_cache(maxsize=2048)(self._cut_out_once)

    def draw(self, rng: np.random.Generator) -> Cutout | None:
        """A class, and one of its objects; None where that could not be cut out.

        Raises:
            InputError: the frame's file is missing, broken or not of the annotated size.
        """
        if not self._objects:
            return None
        of_class = self._objects[rng.integers(len(self._objects))]
        return self._cut_out(*of_class[rng.integers(len(of_class))])

    def _cut_out_once(self, frame_number: int, object_number: int) -> Cutout | None:
        frame = self._frames[frame_number]
        annotation = frame["annotations"][object_number]
        size = (frame["height"], frame["width"])
        image = read_frame(frame["file_name"], self._image_format, size)
        texture = cut_out(image, np.asarray(annotation["bbox"]))
        if texture is None:
            return None
        rows, columns = (np.flatnonzero(texture[..., 3].max(axis=i) > 127) for i in (1, 0))
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
        return Cutout(texture, box, annotation["category_id"])


def cut_out(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Cuts the object in a box out of an image.

    Args:
        image: (H, W, 3) uint8.
        box: x1, y1, x2, y2, pixels.

    Returns:
        (h, w, 4) uint8, three colors and the coverage, of the box and some margin, at most
        `_LONGEST_SIDE` pixels long; or None where no object fills the box.
    """
    sides = box[2:] - box[:2]
    if sides.min() < 16:
        return None
    outer = np.concatenate([box[:2] - _MARGIN * sides, box[2:] + _MARGIN * sides]).round()
    left, top = np.maximum(outer[:2], 0).astype(int)
    right, bottom = np.minimum(outer[2:], image.shape[1::-1]).astype(int)
    colors = image[top:bottom, left:right]
    inner = np.concatenate([box[:2] - [left, top], sides])
    inside = _find_object(*_shrink(colors, inner, _LONGEST_SIDE_FOR_OUTLINES))
    if inside is None:
        return None
    texture, _ = _shrink(colors, inner, _LONGEST_SIDE)
    coverage = cv2.resize(255 * inside, texture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.dstack([texture, cv2.GaussianBlur(coverage, (0, 0), 0.8)])


def _shrink(image: np.ndarray, box: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Brings a box (x, y, width, height) to a longest side at most, and its image along."""
    scale = min(1.0, longest / box[2:].max())
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return image, np.round(scale * box).astype(int)


def _find_object(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """The mask (h, w) uint8, 0 or 1, of what fills a box (x, y, width, height), or None."""
    mask = np.zeros(image.shape[:2], np.uint8)
    try:
        cv2.setRNGSeed(0)
        cv2.grabCut(image, mask, box.tolist(), None, None, _GRABCUT_ROUNDS, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # a box that leaves no background, or of one color
        return None
    inside = mask & 1  # GC_FGD and GC_PR_FGD are odd
    return inside if _fills(inside, *box[2:]) else None


def _fills(inside: np.ndarray, width: int, height: int) -> bool:
    """Whether a mask reaches all sides of a box about, and is neither thin nor all of it."""
    columns, rows = (np.count_nonzero(inside.any(axis=axis)) for axis in (0, 1))
    share = inside.sum() / (width * height)
    return bool(columns > 0.85 * width and rows > 0.85 * height and 0.25 < share < 0.95)
