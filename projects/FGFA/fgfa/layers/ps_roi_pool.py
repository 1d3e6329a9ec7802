"""Position-sensitive RoI pooling with the rounding of R-FCN."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# A box that rounding leaves without an extent is pooled as if this many cells wide or high.
_MIN_SIZE = 0.1


class PSROIPool(nn.Module):
    """Module form of :func:`ps_roi_pool`."""

    def __init__(self, output_size: int, spatial_scale: float) -> None:
        """
        Args:
            output_size: k, the number of bins along each side of a box.
            spatial_scale: map cells per image pixel, such as 1 / 16.
        """
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, boxes: Tensor | Sequence[Tensor]) -> Tensor:
        """Pools as :func:`ps_roi_pool` does."""
        return ps_roi_pool(input, boxes, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


def ps_roi_pool(
    input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int, spatial_scale: float
) -> Tensor:
    """Averages, for each bin of each box, the map cells of the channels that belong to that bin.

    Differs from torchvision's operator in its rounding, which is that of R-FCN's
    ``PSROIPooling``: corners are rounded half away from zero, the end is one pixel further, then
    both are scaled; bins reach from the floor of their start to the ceiling of their end.

    Args:
        input: shape (N, D * k * k, H, W); bin (row i, column j) of class c reads channel
            (c * k + i) * k + j.
        boxes: N tensors of shape (R_i, 4), x1 y1 x2 y2 in image pixels, or one of shape (R, 5)
            whose first column is the index of the image. Not differentiated.
        output_size: k, the number of bins along each side of a box.
        spatial_scale: map cells per image pixel, such as 1 / 16.

    Returns:
        Tensor: shape (R, D, k, k); bins without a cell are zero.

    Raises:
        RuntimeError: if the channels do not divide into k * k bins.
    """
    return ps_roi_pool_reference(input, boxes, output_size, spatial_scale)


def ps_roi_pool_reference(
    input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int, spatial_scale: float
) -> Tensor:
    """Does what :func:`ps_roi_pool` does, in plain PyTorch.

    A bin is the difference of four corners of an integral image, in float64 as the sums over a
    whole map would cost float32 its last digits.
    """
    k, (batch, channels, height, width) = output_size, input.shape
    if channels % (k * k):
        raise RuntimeError(f"ps_roi_pool: {channels} channels do not divide into {k} x {k} bins.")
    rois = _to_rois(boxes).detach().to(torch.promote_types(input.dtype, torch.float32))
    left, right = _bin_ranges(rois[:, 1], rois[:, 3], width, k, spatial_scale)
    top, bottom = _bin_ranges(rois[:, 2], rois[:, 4], height, k, spatial_scale)

    maps = input.double().view(batch, -1, k, k, height, width).permute(0, 2, 3, 4, 5, 1)
    integral = F.pad(maps.cumsum(3).cumsum(4), (0, 0, 1, 0, 1, 0))  # (N, k, k, H + 1, W + 1, D)
    flat = integral.reshape(-1, channels // (k * k))
    bins = torch.arange(k * k, device=input.device).view(k, k)
    plane = rois[:, 0].long()[:, None, None] * (k * k) + bins  # (R, k, k)

    def corner(y: Tensor, x: Tensor) -> Tensor:  # (R, k) each -> (R, k, k, D)
        index = (plane * (height + 1) + y[:, :, None]) * (width + 1) + x[:, None, :]
        return flat.index_select(0, index.flatten()).view(*index.shape, flat.shape[1])

    total = corner(bottom, right) - corner(bottom, left) - corner(top, right) + corner(top, left)
    area = (bottom - top)[:, :, None] * (right - left)[:, None, :]
    return (total / area.clamp(min=1)[..., None]).permute(0, 3, 1, 2).to(input.dtype)


def _to_rois(boxes: Tensor | Sequence[Tensor]) -> Tensor:
    """Returns boxes as rows of image index, x1, y1, x2, y2."""
    if isinstance(boxes, Tensor):
        return boxes
    return torch.cat([F.pad(b, (1, 0), value=float(index)) for index, b in enumerate(boxes)])


def _bin_ranges(
    start: Tensor, end: Tensor, cells: int, k: int, spatial_scale: float
) -> tuple[Tensor, Tensor]:
    """Returns first and one past the last cell of the k bins along one axis, (R, k) each.

    The steps and their order are those of the original: bins change by a cell where they differ.
    """
    start = _round_half_away(start) * spatial_scale
    end = (_round_half_away(end) + 1) * spatial_scale
    size = (end - start).clamp(min=_MIN_SIZE) / k
    edges = torch.arange(k + 1, dtype=size.dtype, device=size.device) * size[:, None]
    edges = edges + start[:, None]  # (R, k + 1)
    first = edges[:, :-1].floor().clamp(0, cells).long()
    last = edges[:, 1:].ceil().clamp(0, cells).long()
    return first, last.maximum(first)


def _round_half_away(x: Tensor) -> Tensor:
    whole = x.trunc()
    return whole + ((x - whole).abs() >= 0.5) * x.sign()
