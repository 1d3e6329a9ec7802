"""What the compiled operators do, composed of PyTorch's operators.

All shapes are those of `fgfa.layers`. The first alternative of each dict is the usual one.
"""

from collections.abc import Callable

import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F

from fgfa.layers import flow_warp, ps_roi_pool_reference

Warp = Callable[[Tensor, Tensor], Tensor]


def grid_sample_warp(feature: Tensor, flow: Tensor) -> Tensor:
    """Warps with grid_sample, whose positions run from -1 to 1 over the map."""
    height, width = flow.shape[-2:]
    x = flow[:, 0] + torch.arange(width, device=flow.device)
    y = flow[:, 1] + torch.arange(height, device=flow.device)[:, None]
    scale = torch.tensor([max(width - 1, 1), max(height - 1, 1)], device=flow.device) / 2
    grid = torch.stack([x, y], dim=-1) / scale - 1
    return F.grid_sample(feature, grid, align_corners=True)


def whole_window(features: Tensor, embeddings: Tensor, flow: Tensor, key: Tensor) -> Tensor:
    """Aggregates with one call of each operator for all frames."""
    weights = F.cosine_similarity(grid_sample_warp(embeddings, flow), key, dim=1).softmax(dim=0)
    return (grid_sample_warp(features, flow) * weights[:, None]).sum(dim=0, keepdim=True)


def frame_by_frame(warp: Warp) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Returns a function that aggregates with one warped map at a time, added up in place."""

    def run(features: Tensor, embeddings: Tensor, flow: Tensor, key: Tensor) -> Tensor:
        motions = flow.split(1)
        cosines = [
            _cosine(warp(embedding, motion), key)
            for embedding, motion in zip(embeddings.split(1), motions, strict=True)
        ]
        weights = torch.cat(cosines).softmax(dim=0)  # (T, H, W)
        total = torch.zeros_like(features[:1])
        for feature, motion, weight in zip(features.split(1), motions, weights, strict=True):
            total.addcmul_(warp(feature, motion), weight)
        return total

    return run


def bags_of_cells(features: Tensor, embeddings: Tensor, flow: Tensor, key: Tensor) -> Tensor:
    """Aggregates with embedding_bag: the cells of a map are rows, four of which make a warped one.

    The result is one call for all frames, whose bags hold four rows of each. Maps that are not
    channels-last are copied.
    """
    frames, _, height, width = flow.shape
    cells = height * width
    indices, weights = _corners(flow)
    cosines = [
        _cosine(_bag(_rows(embedding), index, weight), _rows(key))
        for embedding, index, weight in zip(embeddings.split(1), indices, weights, strict=True)
    ]
    weights = weights * torch.stack(cosines).softmax(dim=0)[:, :, None]
    indices = indices + torch.arange(0, frames * cells, cells, device=flow.device)[:, None, None]
    window = (part.transpose(0, 1).reshape(cells, -1) for part in (indices, weights))
    return _bag(_rows(features), *window).view(1, height, width, -1).permute(0, 3, 1, 2)


def _cosine(embeddings: Tensor, key: Tensor) -> Tensor:
    """Does what F.cosine_similarity over dimension 1 does, in a third of the time."""
    norms = torch.linalg.vector_norm(embeddings, dim=1) * torch.linalg.vector_norm(key, dim=1)
    return (embeddings * key).sum(dim=1) / norms.clamp(min=1e-8)


def _rows(maps: Tensor) -> Tensor:
    """Returns the cells of maps, shape (N * H * W, C); a view of channels-last maps."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def _bag(rows: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(indices, rows, per_sample_weights=weights, mode="sum")


def _corners(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Returns index and weight of the four cells around each position, shape (T, H * W, 4) each."""
    height, width = flow.shape[-2:]
    x = flow[:, 0] + torch.arange(width, device=flow.device)
    y = flow[:, 1] + torch.arange(height, device=flow.device)[:, None]
    left, top = x.floor(), y.floor()
    indices, weights = [], []
    for column, x_weight in ((left, left + 1 - x), (left + 1, x - left)):
        for row, y_weight in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            indices.append(torch.where(inside, row * width + column, 0).long())
            weights.append(x_weight * y_weight * inside)
    return torch.stack(indices, -1).flatten(1, 2), torch.stack(weights, -1).flatten(1, 2)


def warp_with_bags(feature: Tensor, flow: Tensor) -> Tensor:
    """Warps maps one by one with embedding_bag."""
    height, width = flow.shape[-2:]
    maps = zip(feature.split(1), *_corners(flow), strict=True)
    warped = torch.stack([_bag(_rows(map_), index, weight) for map_, index, weight in maps])
    return warped.view(len(flow), height, width, -1).permute(0, 3, 1, 2)


def torchvision_ps_roi_pool(
    input: Tensor, boxes: Tensor, output_size: int, spatial_scale: float
) -> Tensor:
    """Rounds boxes in another way than R-FCN: to be compared in time only."""
    return torchvision.ops.ps_roi_pool(input, boxes, output_size, spatial_scale)


AGGREGATE = {
    "grid_sample, whole window": whole_window,
    "grid_sample, frame by frame": frame_by_frame(grid_sample_warp),
    "fgfa's flow_warp, frame by frame": frame_by_frame(flow_warp),
    "embedding_bag": bags_of_cells,
}
FLOW_WARP = {"grid_sample": grid_sample_warp, "embedding_bag": warp_with_bags}
PS_ROI_POOL = {
    "integral image": ps_roi_pool_reference,
    "torchvision, other rounding": torchvision_ps_roi_pool,
}
