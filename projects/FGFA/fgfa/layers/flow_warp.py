"""Warping of feature maps along a flow field."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fgfa.layers.extension import has_extension
from fgfa.layers.registration import empty_maps, register_operator


def flow_warp(feature: Tensor, flow: Tensor) -> Tensor:
    """Samples a feature map where a flow field points.

    ``warped[n, c, y, x] = feature[n, c, y + flow[n, 1, y, x], x + flow[n, 0, y, x]]``, bilinear,
    each of the four corners counted as zero outside the map, as in MXNet's GridGenerator and
    BilinearSampler. Zero flow gives exactly the input, a whole number of cells exactly a shift.
    Flow that is not finite gives zero, with zero gradients.

    Args:
        feature: shape (N, C, H, W), any floating point type; sums are in float32 at least. Maps in
            the memory format channels_last give a result in that format, and the fastest.
        flow: shape (N, 2, H, W), in cells of the map; channel 0 is x, channel 1 is y.

    Returns:
        Tensor: shape (N, C, H, W), of the type of ``feature``.

    Raises:
        RuntimeError: if shapes, devices or types do not fit.
    """
    # Half-precision coordinates could not tell neighboring cells of a wide map apart.
    flow = flow.to(torch.promote_types(feature.dtype, torch.float32))
    if has_extension(feature.device.type):
        # Autocast runs the operator in float32.
        return torch.ops.fgfa.flow_warp(feature, flow).to(feature.dtype)
    return flow_warp_reference(feature, flow)


def stay_inside(flow: Tensor) -> Tensor:
    """Moves every position that flow points to into the map, onto the nearest cell of its border.

    Warping along this flow is what `grid_sample` calls border padding.

    Args:
        flow: shape (N, 2, H, W), in cells of the map; channel 0 is x, channel 1 is y.

    Returns:
        Tensor: shape (N, 2, H, W).
    """
    height, width = flow.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device)
    y = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    inside_x = (flow[:, 0] + x).clamp(0, width - 1) - x
    inside_y = (flow[:, 1] + y).clamp(0, height - 1) - y
    return torch.stack([inside_x, inside_y], dim=1)


def flow_warp_reference(feature: Tensor, flow: Tensor) -> Tensor:
    """Does what `flow_warp` does, in plain PyTorch."""
    batch, channels, height, width = feature.shape
    if flow.shape != (batch, 2, height, width):
        raise RuntimeError(
            f"flow_warp: flow of a feature map of shape {tuple(feature.shape)} must have shape "
            f"{(batch, 2, height, width)}, not {tuple(flow.shape)}."
        )
    flow = flow.to(torch.promote_types(feature.dtype, torch.float32))
    # Any position more than one cell off the map reads zeros and has zero gradients.
    flow = torch.where(flow.isfinite().all(dim=1, keepdim=True), flow, -2.0 - max(height, width))
    x = flow[:, 0] + torch.arange(width, dtype=flow.dtype, device=flow.device)  # (N, H, W)
    y = flow[:, 1] + torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    left, top = x.floor(), y.floor()

    cells = F.pad(feature.flatten(2), (0, 1))  # the last one is what corners outside read
    warped = feature.new_zeros(feature.shape, dtype=flow.dtype)
    for column, x_weight in ((left, left + 1 - x), (left + 1, x - left)):
        for row, y_weight in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = torch.where(inside, row * width + column, height * width).long().flatten(1)
            corner = cells.gather(2, index[:, None].expand(-1, channels, -1)).view(feature.shape)
            warped = warped + corner * (x_weight * y_weight)[:, None]
    return warped.to(feature.dtype)


def _fake(feature: Tensor, flow: Tensor) -> Tensor:
    return empty_maps(feature.shape, feature)


def _fake_backward(
    grad: Tensor, feature: Tensor, flow: Tensor, deterministic: bool = False
) -> tuple[Tensor, Tensor]:
    return empty_maps(feature.shape, feature), flow.new_empty(flow.shape)


def _setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    return torch.ops.fgfa.flow_warp_backward(grad, *ctx.saved_tensors, deterministic)


if has_extension():
    register_operator(
        "flow_warp",
        fake=_fake,
        fake_backward=_fake_backward,
        setup_context=_setup_context,
        backward=_backward,
    )
