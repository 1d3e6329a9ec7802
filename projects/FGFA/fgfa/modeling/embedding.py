"""The embedding in which frames are compared."""

from collections.abc import Sequence

from fvcore.nn.weight_init import c2_msra_fill
from torch import nn


class Embedding(nn.Sequential):
    """Three convolutions, 1x1, 3x3 and 1x1, with ReLU between (paper, section 3.4).

    Maps a feature of shape (N, in_channels, H, W) to (N, channels[-1], H, W).
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        """
        Args:
            in_channels: channels of the feature.
            channels: output channels of the three convolutions.
        """
        first, second, third = channels
        super().__init__(
            nn.Conv2d(in_channels, first, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(second, third, kernel_size=1),
        )
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                c2_msra_fill(layer)
