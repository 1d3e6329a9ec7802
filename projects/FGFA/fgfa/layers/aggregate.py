"""Flow-guided aggregation: warp, weigh by similarity to the key frame, sum over frames."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from fgfa.layers.extension import has_extension
from fgfa.layers.flow_warp import flow_warp_reference
from fgfa.layers.registration import empty_maps, register_operator

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

    Several key frames with T frames each can be given at once (B > 1): the frames of the first key
    frame lie before those of the second. Frames that flow leads out of everywhere, and flow that
    is not finite, read zeros, whose cosine is 0.

    Args:
        features: shape (B * T, C, H, W), of the frames of the window, not warped; floating point of
            any type, sums are in float32 at least. The memory format channels_last is the fastest,
            here and for the embeddings.
        embeddings: shape (B * T, E, H, W), of the same frames, not warped.
        flow: shape (B * T, 2, H, W), from the key frame to each frame, in cells of the map, x
            first.
        key_embedding: shape (B, E, H, W), what every warped embedding is compared with; itself
            warped where the key frame goes through the flow network like any other frame.

    Returns:
        Tensor: shape (B, C, H, W), of the type of ``features``; zeros where T = 0.

    Raises:
        RuntimeError: if shapes or devices do not fit.
    """
    if not has_extension(features.device.type):
        return aggregate_reference(features, embeddings, flow, key_embedding)
    maps = (features, embeddings, key_embedding)
    dtype = functools.reduce(torch.promote_types, (map.dtype for map in maps))
    features_, embeddings_, key_embedding_ = (map.to(dtype) for map in maps)
    # As in flow_warp: half-precision coordinates could not tell neighboring cells apart, and
    # autocast runs the operator in float32.
    flow = flow.to(torch.promote_types(dtype, torch.float32))
    result = torch.ops.fgfa.aggregate(features_, embeddings_, flow, key_embedding_)
    return result.to(features.dtype)


def aggregate_reference(
    features: Tensor, embeddings: Tensor, flow: Tensor, key_embedding: Tensor
) -> Tensor:
    """Does what `aggregate` does, in plain PyTorch."""
    _check_shapes(features, embeddings, flow, key_embedding)
    keys = len(key_embedding)
    if len(features) == 0:
        return features.new_zeros(keys, *features.shape[1:])
    windows = (maps.unflatten(0, (keys, -1)) for maps in (features, embeddings, flow))
    results = [
        _aggregate_one(*window) for window in zip(*windows, key_embedding.split(1), strict=True)
    ]
    return torch.cat(results)


def _check_shapes(
    features: Tensor, embeddings: Tensor, flow: Tensor, key_embedding: Tensor
) -> None:
    shapes = tuple(map.shape for map in (features, embeddings, flow, key_embedding))
    if all(len(shape) == 4 for shape in shapes):
        (count, _, *size), (keys, channels) = shapes[0], shapes[3][:2]
        fits = count % keys == 0 if keys else count == 0
        expected = ((count, channels, *size), (count, 2, *size), (keys, channels, *size))
        if fits and shapes[1:] == expected:
            return
    raise RuntimeError(
        "aggregate: features (B * T, C, H, W), embeddings (B * T, E, H, W), flow (B * T, 2, H, W) "
        f"and key_embedding (B, E, H, W) cannot have shapes {', '.join(map(str, shapes))}."
    )


def _aggregate_one(
    features: Tensor, embeddings: Tensor, flow: Tensor, key_embedding: Tensor
) -> Tensor:
    # Frame by frame, so that one warped map is held at a time and not T of them.
    similarity = [
        _cosine(flow_warp_reference(embedding[None], motion[None]), key_embedding)
        for embedding, motion in zip(embeddings, flow, strict=True)
    ]
    weights = torch.cat(similarity).softmax(dim=0)  # (T, 1, H, W)
    total = torch.zeros_like(features[:1], dtype=weights.dtype)
    for feature, motion, weight in zip(features, flow, weights, strict=True):
        total = total + flow_warp_reference(feature[None], motion[None]) * weight
    return total.to(features.dtype)


def _cosine(embeddings: Tensor, key_embedding: Tensor) -> Tensor:
    """Returns the cosine similarity over channels, shape (T, 1, H, W)."""
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    embeddings, key_embedding = embeddings.to(dtype), key_embedding.to(dtype)
    product = (embeddings * key_embedding).sum(dim=1, keepdim=True)
    return product / (_norm(embeddings) * _norm(key_embedding))


def _norm(embeddings: Tensor) -> Tensor:
    return (embeddings.square().sum(dim=1, keepdim=True) + _NORM_EPS).sqrt()


def _fake(features: Tensor, embeddings: Tensor, flow: Tensor, key_embedding: Tensor) -> Tensor:
    return empty_maps((key_embedding.shape[0], *features.shape[1:]), features)


def _fake_backward(
    grad: Tensor,
    features: Tensor,
    embeddings: Tensor,
    flow: Tensor,
    key_embedding: Tensor,
    deterministic: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        empty_maps(features.shape, features),
        empty_maps(embeddings.shape, embeddings),
        flow.new_empty(flow.shape),
        empty_maps(key_embedding.shape, key_embedding),
    )


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    return torch.ops.fgfa.aggregate_backward(grad, *ctx.saved_tensors, deterministic)


if has_extension():
    register_operator(
        "aggregate",
        fake=_fake,
        fake_backward=_fake_backward,
        setup_context=_setup_context,
        backward=_backward,
    )
