"""Flow-guided aggregation: warp, weigh by similarity to the key frame, sum over frames."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fgfa.layers.flow_warp import flow_warp, flow_warp_reference

# Inside the square root of the norm, as in MXNet's L2Normalization.
_NORM_EPS = 1e-10


def similarity_weights(embeddings: Tensor, key_embedding: Tensor) -> Tensor:
    """Weighs frames by how well their embeddings agree with the key frame's, cell by cell.

    Softmax over the frames of the cosine similarity (section 3.2 of the paper; the norms as in
    ``compute_weight`` of the authors' symbols).

    Args:
        embeddings: shape (T, E, H, W), warped to the key frame.
        key_embedding: shape (1, E, H, W).

    Returns:
        Tensor: shape (T, 1, H, W), float32 at least; sums to one over T.
    """
    return _cosine(embeddings, key_embedding).softmax(dim=0)


def aggregate(features: Tensor, embeddings: Tensor, flow: Tensor, key_embedding: Tensor) -> Tensor:
    """Warps the frames of a window to the key frame and averages them by similarity.

    Args:
        features: shape (T, C, H, W), of the frames of the window, not warped.
        embeddings: shape (T, E, H, W), of the same frames, not warped.
        flow: shape (T, 2, H, W), from the key frame to each frame, in cells of the map, x first.
        key_embedding: shape (1, E, H, W), what every warped embedding is compared with; itself
            warped where the key frame goes through the flow network like any other frame.

    Returns:
        Tensor: shape (1, C, H, W), of the type of ``features``.
    """
    return _aggregate_with(flow_warp, features, embeddings, flow, key_embedding)


def aggregate_reference(
    features: Tensor, embeddings: Tensor, flow: Tensor, key_embedding: Tensor
) -> Tensor:
    """Does what :func:`aggregate` does, in plain PyTorch."""
    return _aggregate_with(flow_warp_reference, features, embeddings, flow, key_embedding)


def _aggregate_with(
    warp: Callable[[Tensor, Tensor], Tensor],
    features: Tensor,
    embeddings: Tensor,
    flow: Tensor,
    key_embedding: Tensor,
) -> Tensor:
    # Frame by frame, so that one warped map is held at a time and not T of them.
    similarity = [
        _cosine(warp(embedding[None], motion[None]), key_embedding)
        for embedding, motion in zip(embeddings, flow, strict=True)
    ]
    weights = torch.cat(similarity).softmax(dim=0)  # (T, 1, H, W)
    total = torch.zeros_like(features[:1], dtype=weights.dtype)
    for feature, motion, weight in zip(features, flow, weights, strict=True):
        total = total + warp(feature[None], motion[None]) * weight
    return total.to(features.dtype)


def _cosine(embeddings: Tensor, key_embedding: Tensor) -> Tensor:
    """Returns the cosine similarity over channels, shape (T, 1, H, W)."""
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    embeddings, key_embedding = embeddings.to(dtype), key_embedding.to(dtype)
    product = (embeddings * key_embedding).sum(dim=1, keepdim=True)
    return product / (_norm(embeddings) * _norm(key_embedding))


def _norm(embeddings: Tensor) -> Tensor:
    return (embeddings.square().sum(dim=1, keepdim=True) + _NORM_EPS).sqrt()
