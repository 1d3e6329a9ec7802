"""Pairs of images with exact flow, made of stills, to pretrain a flow network.

As in FlowNet's Flying Chairs (Dosovitskiy et al., ICCV 2015, section 4.2), cut-outs move over a
moving background, each by an affine motion of its own. Both frames are drawn from the same layers,
so the flow is known everywhere, behind occluders and outside the neighbor as well.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from fgfa.data.compositing import affine, composite, opaque, rotation
from fgfa.data.filming import expose, motion_blur
from fgfa.data.frame_reading import open_image
from fgfa.errors import InputError


class Layer(NamedTuple):
    """A textured surface in affine motion.

    Attributes:
        texture: (h, w, 4) uint8, RGB and coverage.
        to_key: 3x3, the texture's pixel (x, y, 1) to the key frame's.
        motion: 3x3, the key frame's pixel to the neighbor's.
    """

    texture: np.ndarray
    to_key: np.ndarray
    motion: np.ndarray


class SyntheticFlowPairs(Dataset):
    """Pairs made of stills. The pair of an index depends on the seed and the index only.

    An item is a dict: `key` and `neighbor`, (3, H, W) uint8 RGB, and `flow`, (2, H, W) float32,
    channel 0 = x, in pixels: what is seen at `(x, y)` of the key frame lies at
    `(x + flow[0], y + flow[1])` of the neighbor, whether something covers it there or not.
    """

    def __init__(
        self,
        stills: Sequence[str | Path],
        *,
        length: int,
        size: tuple[int, int] = (256, 384),
        max_displacement: float = 40.0,
        seed: int = 0,
    ) -> None:
        """
        Args:
            stills: image files, at least one. They are held in memory at about the frames' size.
            length: number of pairs.
            size: height and width of the frames, pixels.
            max_displacement: largest shift of a layer, pixels; most shifts are far smaller.
                Rotation, scale and shear move what lies a frame's short side from the center as
                far. The motion of the background is added to that of the cut-outs.
            seed: of the pairs.

        Raises:
            InputError: `stills` is empty, or (on access) a still cannot be read.
        """
        if not stills:
            raise InputError("There are no stills to make flow pairs of; name at least one image.")
        self.stills = list(stills)
        self.length = length
        self.size = size
        self.max_displacement = max_displacement
        self.seed = seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if not 0 <= index < self.length:
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, index])
        textures, to_key, motions = zip(*self.random_layers(rng), strict=True)
        to_neighbor = [motion @ place for motion, place in zip(motions, to_key, strict=True)]
        key, seen = composite(textures, to_key, self.size)
        neighbor, _ = composite(textures, to_neighbor, self.size)
        flow = exact_flow(seen, motions)
        key, neighbor = (_as_filmed(image, rng) for image in (key, neighbor))
        return {
            "key": torch.from_numpy(key).permute(2, 0, 1),
            "neighbor": torch.from_numpy(neighbor).permute(2, 0, 1),
            "flow": torch.from_numpy(flow).permute(2, 0, 1),
        }

    def random_layers(self, rng: np.random.Generator) -> list[Layer]:
        """Draws a background and 1 to 4 cut-outs on it, from back to front."""
        height, width = self.size
        center = np.array([width / 2, height / 2])
        # Cameras often stand still.
        camera = np.eye(3) if rng.random() < 0.2 else self._random_motion(rng, center)
        still = self._random_still(rng)
        cover = max(height / still.shape[0], width / still.shape[1]) * rng.uniform(1.0, 1.4)
        layers = [Layer(opaque(still), _place(rng, still, center, cover), camera)]
        for _ in range(rng.integers(1, 5)):
            texture = _random_cutout(rng, self._random_still(rng))
            place = rng.uniform((0, 0), (width, height))
            motion = self._random_motion(rng, place) @ camera
            layers.append(
                Layer(texture, _place(rng, texture, place, rng.uniform(0.8, 1.3)), motion)
            )
        return layers

    def _random_still(self, rng: np.random.Generator) -> np.ndarray:
        return _read_still(str(self.stills[rng.integers(len(self.stills))]), min(self.size))

    def _random_motion(self, rng: np.random.Generator, center: np.ndarray) -> np.ndarray:
        """Draws a 3x3 affine motion around `center`; cubes make large ones rare (heavy tail)."""
        direction = rotation(rng.uniform(0, 2 * np.pi)) @ (1, 0)
        shift = self.max_displacement * rng.random() ** 3 * direction
        strength = self.max_displacement / min(self.size)
        zoom, turn, shear = strength * rng.uniform(-1, 1, 3) ** 3 * (1, 1, 0.5)
        linear = np.array([[1 + zoom, shear - turn], [shear + turn, 1 + zoom]])
        return affine(linear, center + shift - linear @ center)


def exact_flow(seen: np.ndarray, motions: Sequence[np.ndarray]) -> np.ndarray:
    """Flow of the layer seen at each pixel.

    Args:
        seen: (H, W), index of the layer seen at each pixel.
        motions: 3x3, key frame to neighbor, for each layer.

    Returns:
        (H, W, 2) float32, x and y, pixels.
    """
    height, width = seen.shape
    per_pixel = (np.stack(motions) - np.eye(3))[:, :2].astype(np.float32)[seen]  # (H, W, 2, 3)
    x = np.arange(width, dtype=np.float32)[:, None]
    y = np.arange(height, dtype=np.float32)[:, None, None]
    return per_pixel[..., 0] * x + per_pixel[..., 1] * y + per_pixel[..., 2]


@lru_cache(maxsize=4096)
def _read_still(path: str, short_side: int) -> np.ndarray:
    """Reads a still as RGB, with a short side of about `short_side`; large ones decode at half."""
    with open_image(path):  # OpenCV would take 3 GB for an image that is made to
        image = cv2.imread(path, cv2.IMREAD_REDUCED_COLOR_2)
    if image is None:
        raise InputError(f"The still {path} cannot be read; remove it from the list or restore it.")
    if min(image.shape[:2]) < short_side:
        image = cv2.imread(path, cv2.IMREAD_COLOR)
    scale = short_side / min(image.shape[:2])
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(resized, cv2.COLOR_BGR2RGB)


def _random_cutout(rng: np.random.Generator, still: np.ndarray) -> np.ndarray:
    """Cuts an ellipse or a polygon with soft edges out of a still; (h, w, 4) uint8."""
    side = int(min(still.shape[:2]) * rng.uniform(0.15, 0.7))
    top, left = (int(rng.integers(0, length - side + 1)) for length in still.shape[:2])
    angles = (
        np.arange(24) if rng.random() < 0.4 else np.sort(rng.uniform(0, 24, rng.integers(3, 9)))
    )
    angles = angles * (2 * np.pi / 24)
    radii = side * rng.uniform(0.25, 0.45, 2)
    corners = side / 2 + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    coverage = np.zeros((side, side), np.uint8)
    cv2.fillPoly(coverage, [corners.round().astype(np.int32)], 255, lineType=cv2.LINE_AA)
    coverage = cv2.GaussianBlur(coverage, (0, 0), rng.uniform(0.4, 1.2))
    return np.dstack([still[top : top + side, left : left + side], coverage])


def _place(
    rng: np.random.Generator, texture: np.ndarray, center: np.ndarray, scale: float
) -> np.ndarray:
    """Places a texture with its middle at `center`, half of them mirrored, all turned a little."""
    linear = scale * rotation(rng.normal(0, 0.15)) @ np.diag([rng.choice([-1, 1]), 1])
    return affine(linear, center - linear @ (np.array(texture.shape[1::-1]) / 2))


def _as_filmed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Changes exposure a little; some frames are blurred along a line, or noisy."""
    if rng.random() < 0.2:
        image = motion_blur(image, rng.uniform(2, 9), rng.uniform(0, np.pi))
    return expose(image, rng, noisy=0.3)
