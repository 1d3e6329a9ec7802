"""Resizing and flipping: Detectron2's, or that of the original, whose boxes hold whole pixels."""

from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.config import CfgNode
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T

from fgfa.errors import InputError


def build_augmentation(cfg: CfgNode, is_train: bool) -> list[T.Augmentation]:
    """Augmentations that resize, and in training flip.

    Detectron2's own, or with `INPUT.RESIZE_BY_FACTOR` those of the original: it flips first.

    Raises:
        InputError: if images are to be cropped, or sizes drawn from a range, which the original
            does not do.
    """
    if not cfg.INPUT.RESIZE_BY_FACTOR:
        return utils.build_augmentation(cfg, is_train)
    if not is_train:
        return [ResizeByFactor([cfg.INPUT.MIN_SIZE_TEST], cfg.INPUT.MAX_SIZE_TEST)]
    if cfg.INPUT.CROP.ENABLED or cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING != "choice":
        raise InputError(
            "INPUT.RESIZE_BY_FACTOR needs INPUT.CROP.ENABLED False and "
            "INPUT.MIN_SIZE_TRAIN_SAMPLING 'choice'; change them, or turn it off"
        )
    resize = ResizeByFactor(cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN)
    if cfg.INPUT.RANDOM_FLIP == "none":
        return [resize]
    horizontal = cfg.INPUT.RANDOM_FLIP == "horizontal"
    return [RandomPixelFlip(horizontal=horizontal, vertical=not horizontal), resize]


def image_scale(
    augmentations: Sequence[T.Augmentation], frame_size: tuple[int, int]
) -> float | None:
    """Factor by which test-time augmentations resize frames of (height, width).

    None where they do not resize by a factor.
    """
    resize = (a for a in augmentations if isinstance(a, ResizeByFactor))
    return next((a.draw_factor(*frame_size) for a in resize), None)


class ResizeByFactor(T.Augmentation):
    """Brings the short side of an image to a length, but the long one to `max_size` at most.

    Source: `resize` in `lib/utils/image.py` of the original.
    """

    def __init__(self, short_sides: Sequence[int], max_size: int) -> None:
        """
        Args:
            short_sides: lengths to draw from, pixels; 0 takes the image as it is.
            max_size: limit of the long side, pixels.
        """
        super().__init__()
        self.short_sides = short_sides
        self.max_size = max_size

    def draw_factor(self, height: int, width: int) -> float:
        """Draws a length, and gives the factor for an image of these sides."""
        short_side = np.random.choice(self.short_sides)
        if short_side == 0:
            return 1.0
        short, long = sorted((height, width))
        factor = short_side / short
        return float(self.max_size / long if np.round(factor * long) > self.max_size else factor)

    def get_transform(self, image: np.ndarray) -> T.Transform:
        return FactorResizeTransform(self.draw_factor(*image.shape[:2]))


class FactorResizeTransform(T.Transform):
    """Multiplies sides and coordinates by one factor; sides are rounded, half to even.

    Pixels are sampled at that factor, and not at the ratio of the rounded sides.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        return cv2.resize(img, None, fx=self.factor, fy=self.factor, interpolation=cv2.INTER_LINEAR)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        return coords * self.factor


class RandomPixelFlip(T.RandomFlip):
    """`RandomFlip` that takes coordinates for pixels: x becomes width - 1 - x."""

    def get_transform(self, image: np.ndarray) -> T.Transform:
        # The transform flips any image, and coordinates between 0 and the side that it is made for.
        return super().get_transform(image[:-1, :-1])
