"""Position-sensitive RoI pooling with the rounding of R-FCN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fgfa.layers.extension import has_extension
from fgfa.layers.registration import register_operator

# A box that rounding leaves without an extent is pooled as if this many cells wide or high.
_MIN_SIZE = 0.1


class PSROIPool(nn.Module):
    """Module form of `ps_roi_pool`."""

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
        """Pools as `ps_roi_pool` does."""
        return ps_roi_pool(input, boxes, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


def ps_roi_pool(
    input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int, spatial_scale: float
) -> Tensor:
    """Averages, for each bin of each box, the map cells of the channels that belong to that bin.

    Differs from torchvision's operator in its rounding, which is that of R-FCN's
    ``PSROIPooling``: corners are rounded half away from zero, the end is one pixel further, then
    both are scaled; bins reach from the floor of their start to the ceiling of their end. A box
    whose corners are not finite has no cells. Results and gradients are deterministic.

    Args:
        input: shape (N, D * k * k, H, W), any floating point type; sums are in float32 at least.
            Bin (row i, column j) of class c reads channel (c * k + i) * k + j.
        boxes: N tensors of shape (R_i, 4), x1 y1 x2 y2 in image pixels, or one of shape (R, 5)
            whose first column is the index of the image. Not differentiated.
        output_size: k, the number of bins along each side of a box.
        spatial_scale: map cells per image pixel, such as 1 / 16.

    Returns:
        Tensor: shape (R, D, k, k), of the type of ``input``; bins without a cell are zero.

    Raises:
        RuntimeError: if the channels do not divide into k * k bins, or a box is on an image that
            is not there. On a GPU, which is not waited for, such a box has no cells.
    """
    if has_extension(input.device.type):
        rois = _to_rois(boxes, input)
        # Autocast runs the operator in float32.
        pooled = torch.ops.fgfa.ps_roi_pool(input, rois, output_size, spatial_scale)
        return pooled.to(input.dtype)
    return ps_roi_pool_reference(input, boxes, output_size, spatial_scale)


def ps_roi_pool_reference(
    input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int, spatial_scale: float
) -> Tensor:
    """Does what `ps_roi_pool` does, in plain PyTorch.

    A bin is the difference of four corners of an integral image, in float64 as the sums over a
    whole map would cost float32 its last digits.
    """
    k, (batch, channels, height, width) = output_size, input.shape
    if channels % (k * k):
        raise RuntimeError(f"ps_roi_pool: {channels} channels do not divide into {k} x {k} bins.")
    rois = _to_rois(boxes, input)
    left, right = _bin_ranges(rois[:, 1], rois[:, 3], width, k, spatial_scale)
    top, bottom = _bin_ranges(rois[:, 2], rois[:, 4], height, k, spatial_scale)

    classes = channels // (k * k)
    maps = input.double().view(batch, classes, k, k, height, width).permute(0, 2, 3, 4, 5, 1)
    integral = F.pad(maps.cumsum(3).cumsum(4), (0, 0, 1, 0, 1, 0))  # (N, k, k, H + 1, W + 1, D)
    flat = integral.flatten(0, 4)
    bins = torch.arange(k * k, device=input.device).view(k, k)
    image = rois[:, 0].nan_to_num(-1).clamp(-1, batch).long()  # `index_select` refuses both ends
    plane = image[:, None, None] * (k * k) + bins  # (R, k, k)

    def corner(y: Tensor, x: Tensor) -> Tensor:  # (R, k) each -> (R, k, k, D)
        index = (plane * (height + 1) + y[:, :, None]) * (width + 1) + x[:, None, :]
        return flat.index_select(0, index.flatten()).view(*index.shape, classes)

    total = corner(bottom, right) - corner(bottom, left) - corner(top, right) + corner(top, left)
    area = (bottom - top)[:, :, None] * (right - left)[:, None, :]
    return (total / area.clamp(min=1)[..., None]).permute(0, 3, 1, 2).to(input.dtype)


def _to_rois(boxes: Tensor | Sequence[Tensor], input: Tensor) -> Tensor:
    """Returns boxes as rows of image index, x1, y1, x2, y2, in the type that sums are in."""
    if not isinstance(boxes, Tensor):
        boxes = torch.cat([F.pad(b, (1, 0), value=float(i)) for i, b in enumerate(boxes)])
    # Half precision could not tell pixels of a wide image apart.
    return boxes.detach().to(torch.promote_types(input.dtype, torch.float32))


def _bin_ranges(
    start: Tensor, end: Tensor, cells: int, k: int, spatial_scale: float
) -> tuple[Tensor, Tensor]:
    """Returns first and one past the last cell of the k bins along one axis, (R, k) each.

    The steps and their order are those of the original: bins change by a cell where they differ.
    """
    start = _round_half_away(start) * spatial_scale
    end = (_round_half_away(end) + 1) * spatial_scale
    extent = end - start
    finite = extent.isfinite()
    size = extent.clamp(min=_MIN_SIZE) / k
    edges = torch.arange(k + 1, dtype=size.dtype, device=size.device) * size[:, None]
    edges = torch.where(finite[:, None], edges + start[:, None], 0)  # (R, k + 1)
    first = edges[:, :-1].floor().clamp(0, cells).long()
    last = edges[:, 1:].ceil().clamp(0, cells).long()
    return first, last


def _round_half_away(x: Tensor) -> Tensor:
    whole = x.trunc()
    return whole + ((x - whole).abs() >= 0.5) * x.sign()


def _fake(input: Tensor, rois: Tensor, output_size: int, spatial_scale: float) -> Tensor:
    classes = input.shape[1] // output_size**2
    return input.new_empty(rois.shape[0], classes, output_size, output_size)


def _fake_backward(
    grad: Tensor,
    rois: Tensor,
    batch: int,
    height: int,
    width: int,
    spatial_scale: float,
    channels_last: bool,
) -> Tensor:
    shape = (batch, grad.shape[1] * grad.shape[2] * grad.shape[3], height, width)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=memory_format)


def _setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int, float], output: Tensor) -> None:
    input, rois, _, ctx.spatial_scale = inputs
    ctx.save_for_backward(rois)
    ctx.batch, _, ctx.height, ctx.width = input.shape
    # A map of one channel or cell is both; the gradient then is plain.
    ctx.channels_last = not input.is_contiguous() and input.is_contiguous(
        memory_format=torch.channels_last
    )


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    (rois,) = ctx.saved_tensors
    size = ctx.batch, ctx.height, ctx.width
    grad_input = torch.ops.fgfa.ps_roi_pool_backward(
        grad, rois, *size, ctx.spatial_scale, ctx.channels_last
    )
    return grad_input, None, None, None


if has_extension():
    register_operator(
        "ps_roi_pool",
        fake=_fake,
        fake_backward=_fake_backward,
        setup_context=_setup_context,
        backward=_backward,
    )
