"""The embedding in which frames are compared."""

from collections.abc import Sequence

import torch
from fvcore.nn.weight_init import c2_msra_fill
from torch import nn

from fgfa.errors import InputError


class Embedding(nn.Sequential):
    """Convolutions with ReLU between, in the paper 1x1, 3x3 and 1x1 (section 3.4).

    Maps a feature of shape (N, in_channels, H, W) to (N, channels[-1], H, W). Without convolutions
    all is alike, (N, 1, H, W) of ones, and all frames weigh the same (table 1, method (b)).
    """

    def __init__(
        self, in_channels: int, channels: Sequence[int], kernels: Sequence[int] = (1, 3, 1)
    ) -> None:
        """
        Args:
            in_channels: channels of the feature.
            channels: output channels of the convolutions; [] for none.
            kernels: their kernel sizes, odd.

        Raises:
            InputError: if `channels` and `kernels` differ in length.
        """
        if len(channels) != len(kernels):
            raise InputError(
                f"MODEL.FGFA.EMBEDDING_CHANNELS {list(channels)} and EMBEDDING_KERNELS "
                f"{list(kernels)} differ in length; give one of each for a convolution"
            )
        layers: list[nn.Module] = []
        for out_channels, kernel in zip(channels, kernels, strict=True):
            convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
            c2_msra_fill(convolution)
            layers += [convolution, nn.ReLU(inplace=True)]
            in_channels = out_channels
        super().__init__(*layers[:-1])

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        """Embeds features (N, in_channels, H, W)."""
        return super().forward(feature) if len(self) else torch.ones_like(feature[:, :1])
