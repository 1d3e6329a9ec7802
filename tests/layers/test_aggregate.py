"""Tests of fgfa.layers.aggregate; the expected values come from MXNet."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fgfa.layers import aggregate, aggregate_reference, flow_warp_reference, similarity_weights

GOLDENS = np.load(Path(__file__).parents[1] / "data" / "ops_aggregate.npz")
AggregateFn = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

aggregates = pytest.mark.parametrize("function", [aggregate, aggregate_reference])


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDENS[f"aggr_{name}"])


def window(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, embeddings, flow of three frames and a key embedding."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 4, 5, 6), (3, 7, 5, 6), (3, 2, 5, 6), (1, 7, 5, 6))
    features, embeddings, flow, key = (
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes
    )
    return features, embeddings, flow, key


def cosines_in_weights(embeddings: Tensor, key_embedding: Tensor) -> Tensor:
    """The cosines that weights are the softmax of: a frame of zeros more has the cosine 0."""
    weights = similarity_weights(torch.cat([embeddings, embeddings[:1] * 0]), key_embedding)
    return (weights[:-1] / weights[-1:]).log()


@pytest.mark.parametrize("case", ["a", "zero"])
def test_similarity_weights_equal_mxnet(case: str) -> None:
    embeddings = golden(f"{case}_embed")
    key = len(embeddings) // 2
    weights = similarity_weights(embeddings, embeddings[key : key + 1])
    torch.testing.assert_close(weights, golden(f"{case}_weights"), rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["a", "zero"])
def test_cosines_and_norms_equal_mxnet(case: str) -> None:
    embeddings, cosines = golden(f"{case}_embed"), golden(f"{case}_cos")
    key = len(embeddings) // 2
    ours = cosines_in_weights(embeddings, embeddings[key : key + 1])
    torch.testing.assert_close(ours, cosines, rtol=0, atol=1e-5)
    # The cosine with a unit vector is a channel of the normalized embedding.
    units = torch.eye(embeddings.shape[1])[:, None, :, None, None]
    ours = torch.cat([cosines_in_weights(embeddings, unit) for unit in units], dim=1)
    torch.testing.assert_close(ours, golden(f"{case}_norm"), rtol=0, atol=1e-5)


@aggregates
@pytest.mark.parametrize("case", ["a", "zero"])
def test_aggregate_equals_mxnet(function: AggregateFn, case: str) -> None:
    features = golden(f"{case}_feat").requires_grad_()
    embeddings = golden(f"{case}_embed").requires_grad_()
    frames, _, height, width = embeddings.shape
    key = embeddings[frames // 2 : frames // 2 + 1]
    total = function(features, embeddings, torch.zeros(frames, 2, height, width), key)
    total.backward(golden(f"{case}_ograd"))
    torch.testing.assert_close(total, golden(f"{case}_out"), rtol=0, atol=1e-5)
    torch.testing.assert_close(features.grad, golden(f"{case}_grad_feat"), rtol=0, atol=1e-5)
    # Gradients of embeddings that are zero reach 14,529, where a step of float32 is 1e-3.
    expected = golden(f"{case}_grad_embed")
    torch.testing.assert_close(embeddings.grad, expected, rtol=1e-6, atol=1e-5)


@aggregates
def test_aggregate_warps_features_and_embeddings(function: AggregateFn) -> None:
    features, embeddings, flow, key = window()
    weights = similarity_weights(flow_warp_reference(embeddings, flow), key)
    expected = (weights * flow_warp_reference(features, flow)).sum(dim=0, keepdim=True)
    torch.testing.assert_close(function(features, embeddings, flow, key), expected)


@aggregates
def test_gradients(function: AggregateFn) -> None:
    small = tuple(tensor[..., :2, :3] for tensor in window(torch.float64))
    assert torch.autograd.gradcheck(function, small)


@aggregates
def test_one_still_frame_is_left_as_it_is(function: AggregateFn) -> None:
    features, embeddings, flow, _ = (tensor[:1] for tensor in window())
    assert torch.equal(function(features, embeddings, flow * 0, embeddings), features)


def test_weights_sum_to_one_over_frames() -> None:
    _, embeddings, _, key = window()
    weights = similarity_weights(embeddings, key)
    assert weights.shape == (3, 1, 5, 6)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(1, 5, 6))


def test_weights_depend_on_direction_alone() -> None:
    _, embeddings, _, key = window()
    scale = torch.tensor([1.0, 3.0, 50.0]).view(3, 1, 1, 1)
    torch.testing.assert_close(
        similarity_weights(embeddings * scale, key), similarity_weights(embeddings, key)
    )


def test_half_precision_is_summed_in_float32() -> None:
    _, embeddings, _, key = window()
    # Squares of these overflow float16.
    half = (1000 * embeddings).half()
    weights = similarity_weights(half, key.half())
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights, similarity_weights(embeddings, key), rtol=1e-2, atol=1e-2)
    features, _, flow, _ = window()
    assert aggregate(features.half(), half, flow, key.half()).dtype == torch.float16
