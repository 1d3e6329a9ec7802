"""Images that remember how they were resized."""

from collections.abc import Sequence

import torch
from detectron2.structures import ImageList


class ScaledImageList(ImageList):
    """An `ImageList` for parts that count in pixels of the frames, as the original's last NMS.

    Attributes:
        image_scales: for each image the factor by which its frame was resized.
    """

    def __init__(
        self,
        tensor: torch.Tensor,
        image_sizes: list[tuple[int, int]],
        image_scales: Sequence[float],
    ) -> None:
        """
        Args:
            tensor: shape (N, C, H, W).
            image_sizes: height and width of each image without padding, pixels.
            image_scales: see above.
        """
        super().__init__(tensor, image_sizes)
        self.image_scales = image_scales
