"""The compiled operators in operators that other runtimes know as well, for `fgfa.export`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fgfa.layers.aggregate import similarity_weights
from fgfa.layers.extension import has_extension
from fgfa.layers.ps_roi_pool import ps_roi_pool_reference


def plain_operators() -> dict[torch._ops.OpOverload, Callable[..., Tensor]]:
    """Returns what ``ExportedProgram.run_decompositions`` puts in the place of our operators.

    It is empty where the operators are not compiled, as programs do not have them then.
    """
    if not has_extension():
        return {}
    return {
        torch.ops.fgfa.flow_warp.default: flow_warp_by_grid,
        torch.ops.fgfa.aggregate.default: aggregate_by_grid,
        torch.ops.fgfa.ps_roi_pool.default: ps_roi_pool_reference,
    }


def flow_warp_by_grid(feature: Tensor, flow: Tensor) -> Tensor:
    """Does what ``flow_warp`` does, with ``grid_sample``, up to the rounding of positions.

    Unlike ``flow_warp_reference`` it is one operator in ONNX.
    """
    height, width = feature.shape[-2:]
    # Any position more than one cell off the map reads zeros.
    flow = torch.where(flow.isfinite().all(dim=1, keepdim=True), flow, -2.0 - max(height, width))
    x = flow[:, 0] + torch.arange(width, dtype=flow.dtype, device=flow.device)
    y = flow[:, 1] + torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    # A position of cell i, of n, is (2 * i + 1) / n - 1: maps that are one cell wide need no care.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(feature, grid, align_corners=False)


def aggregate_by_grid(
    features: Tensor, embeddings: Tensor, flow: Tensor, key_embedding: Tensor
) -> Tensor:
    """Does what ``aggregate`` does for one key frame, with ``grid_sample``."""
    weights = similarity_weights(flow_warp_by_grid(embeddings, flow), key_embedding)
    return (weights * flow_warp_by_grid(features, flow)).sum(dim=0, keepdim=True)
