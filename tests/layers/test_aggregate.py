"""Tests of fgfa.layers.aggregate; the expected values come from MXNet and from the twin."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fgfa.layers import (
    aggregate,
    aggregate_reference,
    flow_warp_reference,
    has_extension,
    similarity_weights,
)

GOLDENS = np.load(Path(__file__).parents[1] / "data" / "ops_aggregate.npz")
AggregateFn = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]

# B, T, C, E, H, W. The wide one fills vectors and has a rest, and is transposed in several blocks.
SHAPES = [(1, 3, 4, 7, 5, 6), (2, 2, 150, 299, 9, 11), (3, 1, 2, 3, 1, 1), (1, 4, 3, 2, 1, 9)]
EMPTY_SHAPES = [(0, 0, 3, 2, 4, 5), (2, 0, 3, 2, 4, 5), (1, 2, 0, 2, 4, 5), (1, 2, 3, 2, 0, 5)]

needs_extension = pytest.mark.skipif(not has_extension(), reason="fgfa._C is not built")
shapes = pytest.mark.parametrize("shape", SHAPES)
layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
aggregates = pytest.mark.parametrize("function", [aggregate, aggregate_reference])


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDENS[f"aggr_{name}"])


def inputs_of(
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> Inputs:
    """Features, embeddings, flow that leaves the map here and there, and key embeddings."""
    b, t, c, e, h, w = shape
    generator = torch.Generator().manual_seed(0)
    features, embeddings, flow, key = (
        torch.randn(*size, h, w, generator=generator, dtype=torch.float64)
        for size in ((b * t, c), (b * t, e), (b * t, 2), (b, e))
    )
    flow_type = torch.promote_types(dtype, torch.float32)
    maps = (tensor.to(dtype, memory_format=layout) for tensor in (features, embeddings, key))
    features, embeddings, key = (tensor.requires_grad_() for tensor in maps)
    return features, embeddings, (2 * flow).to(flow_type).requires_grad_(), key


def window(dtype: torch.dtype = torch.float32) -> Inputs:
    """The same for one key frame and three frames."""
    return inputs_of((1, 3, 4, 7, 5, 6), dtype)


def result_and_gradients(function: AggregateFn, inputs: Inputs) -> tuple[Tensor, ...]:
    result = function(*inputs)
    # Exact in every floating point type.
    grad = (torch.arange(result.numel()) % 31 - 15).view_as(result).to(result.dtype) / 16
    return result, *torch.autograd.grad(result, inputs, grad)


def expected_results(inputs: Inputs) -> tuple[Tensor, ...]:
    """The twin's, in double precision."""
    doubles = tuple(tensor.detach().double().requires_grad_() for tensor in inputs)
    return result_and_gradients(aggregate_reference, doubles)


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


@needs_extension
@layouts
@shapes
def test_equals_reference_in_double_precision(
    shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    inputs = inputs_of(shape, layout=layout)
    ours = [tensor.double() for tensor in result_and_gradients(aggregate, inputs)]
    torch.testing.assert_close(ours, list(expected_results(inputs)), rtol=1e-5, atol=1e-5)


@needs_extension
@layouts
@pytest.mark.parametrize(("dtype", "digits"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_is_rounded_at_the_end(
    dtype: torch.dtype, digits: float, layout: torch.memory_format
) -> None:
    inputs = inputs_of(SHAPES[1], dtype, layout)
    ours = result_and_gradients(aggregate, inputs)
    assert [tensor.dtype for tensor in ours] == [dtype, dtype, dtype, torch.float32, dtype]
    ours = [tensor.double() for tensor in ours]
    torch.testing.assert_close(ours, list(expected_results(inputs)), rtol=digits, atol=digits)


@aggregates
def test_key_frames_do_not_see_each_other(function: AggregateFn) -> None:
    features, embeddings, flow, key = inputs_of((2, 3, 4, 7, 5, 6))
    result = function(features, embeddings, flow, key)
    for index in range(2):
        frames = slice(3 * index, 3 * index + 3)
        one = function(features[frames], embeddings[frames], flow[frames], key[index, None])
        assert torch.equal(result[index, None], one)


@aggregates
@pytest.mark.parametrize("shape", EMPTY_SHAPES)
def test_nothing_aggregates_to_zeros(function: AggregateFn, shape: tuple[int, ...]) -> None:
    result = function(*inputs_of(shape))
    assert result.shape == (shape[0], shape[2], *shape[4:])
    assert not result.any()


@aggregates
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3e38])
def test_flow_that_is_not_finite_reads_zeros(function: AggregateFn, value: float) -> None:
    features, embeddings, flow, key = window()
    elsewhere = flow.detach().clone()
    with torch.no_grad():
        flow[1, 0, 2, 3] = value
        elsewhere[1, 0, 2, 3] = 99
    result, *gradients = result_and_gradients(function, (features, embeddings, flow, key))
    expected = function(features, embeddings, elsewhere, key)
    assert torch.equal(result, expected)
    assert not gradients[2][1, :, 2, 3].any()
    assert all(gradient.isfinite().all() for gradient in gradients)


@aggregates
def test_softmax_does_not_overflow(function: AggregateFn) -> None:
    features, embeddings, flow, key = window()
    result = function(features, 1e15 * embeddings, flow, 1e15 * key)
    torch.testing.assert_close(result, function(features, embeddings, flow, key))


@aggregates
def test_values_that_are_not_finite_stay_where_they_are_read(function: AggregateFn) -> None:
    features, embeddings, flow, key = (tensor.detach() for tensor in window())
    features[1, :, 2, 3] = math.nan
    result = function(features, embeddings, torch.full_like(flow, 99), key)
    assert not result.any()


@needs_extension
@layouts
def test_threads_do_not_change_results(layout: torch.memory_format) -> None:
    inputs = inputs_of((2, 3, 70, 130, 23, 41), layout=layout)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(result_and_gradients(aggregate, inputs))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


@needs_extension
@layouts
def test_results_have_the_memory_format_of_the_inputs(layout: torch.memory_format) -> None:
    inputs = inputs_of(SHAPES[1], layout=layout)
    result, grad_features, grad_embeddings, _, grad_key = result_and_gradients(aggregate, inputs)
    for tensor in (result, grad_features, grad_embeddings, grad_key):
        assert tensor.is_contiguous(memory_format=layout)


@needs_extension
def test_memory_format_does_not_matter() -> None:
    inputs = inputs_of(SHAPES[1])
    expected = result_and_gradients(aggregate, inputs)
    for number in range(4):
        others = [tensor.detach() for tensor in inputs]
        others[number] = others[number].to(memory_format=torch.channels_last)
        mixed = tuple(tensor.requires_grad_() for tensor in others)
        ours = result_and_gradients(aggregate, mixed)
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    strided = tuple(torch.stack((tensor, tensor), dim=-1)[..., 0] for tensor in inputs)
    assert torch.equal(aggregate(*strided), expected[0])


@needs_extension
@layouts
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(2, 2, 3, 5, 4, 6), *EMPTY_SHAPES])
def test_operators_are_registered_soundly(
    shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format
) -> None:
    inputs = inputs_of(shape, dtype, layout)
    torch.library.opcheck(torch.ops.fgfa.aggregate.default, inputs)
    plain = tuple(tensor.detach() for tensor in inputs)
    grad = torch.ones_like(torch.ops.fgfa.aggregate(*plain))
    torch.library.opcheck(torch.ops.fgfa.aggregate_backward.default, (grad, *plain))


@aggregates
def test_compiles_as_one_graph(function: AggregateFn) -> None:
    inputs = inputs_of((2, 2, 3, 5, 4, 6))
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    ours = result_and_gradients(compiled, inputs)
    torch.testing.assert_close(ours, result_and_gradients(function, inputs))


class Aggregation(torch.nn.Module):
    def forward(self, features: Tensor, embeddings: Tensor, flow: Tensor, key: Tensor) -> Tensor:
        return aggregate(features, embeddings, flow, key)


@needs_extension
def test_exports_as_one_operator() -> None:
    inputs = tuple(tensor.detach() for tensor in window())
    program = torch.export.export(Aggregation(), inputs)
    assert torch.ops.fgfa.aggregate.default in {node.target for node in program.graph.nodes}
    assert torch.equal(program.module()(*inputs), aggregate(*inputs))


@needs_extension
def test_autocast_runs_in_float32() -> None:
    features, embeddings, flow, key = window()
    halves = tuple(tensor.bfloat16() for tensor in (features, embeddings, key))
    with torch.autocast("cpu", torch.bfloat16):
        result = aggregate(*halves[:2], flow, halves[2])
        mixed = torch.ops.fgfa.aggregate(*halves[:2], flow.bfloat16(), key)
    assert (result.dtype, mixed.dtype) == (torch.bfloat16, torch.float32)
    expected = aggregate(*(half.float() for half in halves[:2]), flow, halves[2].float())
    assert torch.equal(result, expected.bfloat16())


def test_types_are_promoted() -> None:
    features, embeddings, flow, key = window()
    result = aggregate(features.half(), embeddings, flow, key)
    assert result.dtype == torch.float16
    expected = aggregate(features.half().float(), embeddings, flow, key)
    assert torch.equal(result, expected.half())


@aggregates
@pytest.mark.parametrize(
    ("number", "shape"),
    [
        (0, (3, 4, 5)),
        (1, (2, 7, 5, 6)),
        (1, (3, 7, 5, 5)),
        (2, (3, 3, 5, 6)),
        (3, (1, 6, 5, 6)),
        (3, (1, 7, 4, 6)),
        (3, (2, 7, 5, 6)),
        (3, (0, 7, 5, 6)),
    ],
)
def test_shapes_that_do_not_fit_are_errors(
    function: AggregateFn, number: int, shape: tuple[int, ...]
) -> None:
    inputs = list(window())
    inputs[number] = torch.zeros(shape)
    with pytest.raises(RuntimeError):
        function(*inputs)


@needs_extension
def test_operator_names_what_is_wrong() -> None:
    features, embeddings, flow, key = window()
    with pytest.raises(RuntimeError, match="3 frames cannot be shared out among 2 key frames"):
        torch.ops.fgfa.aggregate(features, embeddings, flow, torch.cat([key, key]))
    with pytest.raises(RuntimeError, match="must have one type"):
        torch.ops.fgfa.aggregate(features, embeddings.half(), flow, key)
    with pytest.raises(RuntimeError, match="aggregate: flow must be float32"):
        torch.ops.fgfa.aggregate(features, embeddings, flow.double(), key)
    with pytest.raises(RuntimeError, match="grad must have the shape of the result"):
        torch.ops.fgfa.aggregate_backward(features, features, embeddings, flow, key)
