"""The embedding in which frames are compared."""

from collections.abc import Sequence

from fvcore.nn.weight_init import c2_msra_fill
from torch import nn

from fgfa.errors import InputError


class Embedding(nn.Sequential):
    """Convolutions with ReLU between, in the paper 1x1, 3x3 and 1x1 (section 3.4).

    Maps a feature of shape (N, in_channels, H, W) to (N, channels[-1], H, W).
    """

    def __init__(
        self, in_channels: int, channels: Sequence[int], kernels: Sequence[int] = (1, 3, 1)
    ) -> None:
        """
        Args:
            in_channels: channels of the feature.
            channels: output channels of the convolutions.
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
