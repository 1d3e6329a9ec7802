"""Tests of fgfa.layers.aggregate that need a GPU; those on the CPU are in test_aggregate.py."""

import math

import pytest
import torch
from torch import Tensor

from fgfa.layers import aggregate, aggregate_reference, has_extension

pytestmark = pytest.mark.skipif(
    not (torch.cuda.is_available() and has_extension("cuda")),
    reason="no GPU, or fgfa._C is built without CUDA",
)

LAYOUTS = [torch.contiguous_format, torch.channels_last]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}

layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=["first", "last"])


def window(
    keys: int = 2,
    frames: int = 3,
    channels: int = 68,
    size: tuple[int, int] = (19, 31),
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    n = keys * frames
    shapes = ((n, channels), (n, 2 * channels), (n, 2), (keys, 2 * channels))
    maps = [torch.randn(*shape, *size, generator=generator) for shape in shapes]
    types = (dtype, dtype, torch.promote_types(dtype, torch.float32), dtype)
    features, embeddings, flow, key_embedding = (
        tensor.to("cuda", of_type, memory_format=layout).requires_grad_()
        for tensor, of_type in zip(maps, types, strict=True)
    )
    return features, embeddings, flow, key_embedding


def gradients(result: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(result.double().square().sum(), inputs)


@layouts
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("channels", [67, 68])
def test_equals_reference(channels: int, dtype: torch.dtype, layout: torch.memory_format) -> None:
    inputs = window(channels=channels, dtype=dtype, layout=layout)
    with torch.no_grad():
        inputs[2][0, 0, 3, 4] = math.nan
        inputs[2][1, 1, 5, 6] = math.inf
    result = aggregate(*inputs)
    assert result.dtype == dtype and result.is_contiguous(memory_format=layout)
    doubles = tuple(tensor.detach().double().cpu().requires_grad_() for tensor in inputs)
    expected = aggregate_reference(*doubles)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(result.double().cpu(), expected, **tolerance)
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    ours = torch.autograd.grad(result, inputs, grad.cuda())
    expected_grads = torch.autograd.grad(expected, doubles, grad.double())
    for our_grad, expected_grad in zip(ours, expected_grads, strict=True):
        torch.testing.assert_close(our_grad.double().cpu(), expected_grad, **tolerance)


@layouts
def test_gradients(layout: torch.memory_format) -> None:
    inputs = window(1, 2, 4, (2, 3), torch.float64, layout)
    assert torch.autograd.gradcheck(aggregate, inputs, nondet_tol=1e-12)


@layouts
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_operators_are_registered_soundly(dtype: torch.dtype, layout: torch.memory_format) -> None:
    inputs = window(1, 2, 4, (5, 7), dtype, layout)
    torch.library.opcheck(torch.ops.fgfa.aggregate.default, inputs)
    grad = aggregate(*inputs).detach()
    plain = tuple(tensor.detach() for tensor in inputs)
    torch.library.opcheck(
        torch.ops.fgfa.aggregate_backward.default,
        (grad, *plain),
        {"deterministic": True},
    )


@layouts
def test_gradient_can_be_the_same_in_every_run(layout: torch.memory_format) -> None:
    inputs = window(layout=layout)
    usual = gradients(aggregate(*inputs), inputs)
    torch.use_deterministic_algorithms(True)
    try:
        first = gradients(aggregate(*inputs), inputs)
        second = gradients(aggregate(*inputs), inputs)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(map(torch.equal, first, second))
    torch.testing.assert_close(first, usual, rtol=1e-4, atol=1e-5)


@layouts
def test_no_warped_map_is_kept(layout: torch.memory_format) -> None:
    inputs = tuple(tensor.detach() for tensor in window(1, 19, 256, size=(38, 63), layout=layout))
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = aggregate(*inputs)
    extra = torch.cuda.max_memory_allocated() - before - result.nbytes
    # Four numbers a cell and frame: 0.5 % of what the 768 channels take.
    assert extra < 0.01 * (inputs[0].nbytes + inputs[1].nbytes)


def test_runs_on_the_current_stream() -> None:
    inputs = tuple(tensor.detach() for tensor in window())
    expected = aggregate(*inputs)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)
        doubled = tuple(tensor * 2 for tensor in inputs[:1])
        result = aggregate(*doubled, *inputs[1:])
    torch.cuda.current_stream().wait_stream(stream)
    torch.testing.assert_close(result, 2 * expected)
