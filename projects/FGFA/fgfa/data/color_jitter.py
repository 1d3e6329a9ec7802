"""Random brightness, contrast and saturation, alike for all frames that go with a key frame."""

import functools

import numpy as np
from detectron2.data import transforms as T

# Luma of ITU-R BT.601, as in Detectron2's RandomSaturation.
_LUMA_RGB = np.array([0.299, 0.587, 0.114], np.float32)


def color_jitter(strength: float, image_format: str) -> list[T.Augmentation]:
    """Augmentations that change each of the three by a factor within 1 - strength..1 + strength.

    Args:
        strength: largest relative change.
        image_format: order of the channels, "RGB" or "BGR".
    """
    span = (1 - strength, 1 + strength)
    return [
        T.RandomBrightness(*span),
        T.RandomContrast(*span),
        RandomFrameSaturation(*span, image_format),
    ]


class RandomFrameSaturation(T.Augmentation):
    """Blends every frame with its own gray version.

    The transform of Detectron2's RandomSaturation holds the gray version of the image it was drawn
    for, and would blend the key frame into its neighbors.
    """

    def __init__(self, low: float, high: float, image_format: str) -> None:
        """
        Args:
            low: smallest factor on the saturation; 0 is gray, 1 leaves it as it is.
            high: largest factor.
            image_format: order of the channels, "RGB" or "BGR".
        """
        super().__init__()
        self.low = low
        self.high = high
        self.image_format = image_format

    def get_transform(self, image: np.ndarray) -> T.Transform:
        luma = _LUMA_RGB if self.image_format == "RGB" else _LUMA_RGB[::-1]
        factor = np.random.uniform(self.low, self.high)
        return T.ColorTransform(functools.partial(_saturate, luma=luma, factor=factor))


def _saturate(image: np.ndarray, luma: np.ndarray, factor: float) -> np.ndarray:
    """Scales the distance of each pixel from its gray value; uint8 (H, W, 3) -> uint8."""
    gray = (image @ luma)[..., None]
    return np.clip(np.rint(gray + factor * (image - gray)), 0, 255).astype(np.uint8)
