"""Random inputs of fixed seeds, as large and as smooth as those of the model."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

LAYOUTS = {"channels-last": torch.channels_last, "NCHW": torch.contiguous_format}

_POSITIONS_PER_CELL = 256
# Pixels along the side of a blob, and that it moves from frame to frame.
_BLOB, _PIXELS_PER_FRAME = 32, 4


def feature_maps(count: int, channels: int, size: tuple[int, int], layout: str) -> Tensor:
    """Returns values in [0, 1), shape (count, channels, H, W), in a layout of `LAYOUTS`."""
    generator = torch.Generator().manual_seed(channels)
    maps = torch.rand(count, channels, *size, generator=generator)
    return maps.contiguous(memory_format=LAYOUTS[layout])


def smooth_flow(count: int, size: tuple[int, int]) -> Tensor:
    """Returns motion of a few cells that changes slowly over the map, plus a little noise.

    Positions lie between the lines of a fine grid that float32 holds exactly: none is so near to
    a cell's center that rounding puts it on the other side, where the gradient is another one.

    Returns:
        Tensor: shape (count, 2, H, W), in cells.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = 3 * torch.randn(count, 2, 4, 6, generator=generator)
    flow = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    flow = flow + 0.1 * torch.randn(flow.shape, generator=generator)
    return ((flow * _POSITIONS_PER_CELL).round() + 0.5) / _POSITIONS_PER_CELL


def random_boxes(count: int, size: tuple[int, int]) -> Tensor:
    """Returns boxes of any size inside an image.

    Args:
        count: the number of boxes, R.
        size: height and width of the image.

    Returns:
        Tensor: shape (R, 5): 0, then x1 y1 x2 y2 in pixels.
    """
    generator = torch.Generator().manual_seed(0)
    height, width = size
    corners = torch.rand(count, 2, 2, generator=generator) * torch.tensor([width, height])
    corners = corners.sort(dim=1).values  # (R, first or second corner, x or y)
    return F.pad(corners.flatten(1), (1, 0))


def moving_blobs(size: tuple[int, int]) -> Iterator[Tensor]:
    """Yields the frames of an endless video in which colored blobs move to the left.

    Args:
        size: height and width.

    Yields:
        Images of shape (3, height, width), uint8.
    """
    generator = torch.Generator().manual_seed(0)
    height, width = size
    coarse = torch.rand(1, 3, -(-height // _BLOB), -(-width // _BLOB), generator=generator)
    blobs = F.interpolate(255 * coarse, size=size, mode="bicubic").clamp(0, 255).byte()[0]
    for number in itertools.count():
        yield blobs.roll(-_PIXELS_PER_FRAME * number, dims=2)
