"""Tests of fgfa.layers.flow_warp; the expected values come from MXNet and from a plain loop."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fgfa.layers import flow_warp, flow_warp_reference, has_extension, stay_inside

GOLDENS = np.load(Path(__file__).parents[1] / "data" / "ops_flow_warp.npz")
WarpFn = Callable[[Tensor, Tensor], Tensor]

needs_extension = pytest.mark.skipif(not has_extension(), reason="fgfa._C is not built")
needs_cuda = pytest.mark.skipif(
    not (torch.cuda.is_available() and has_extension("cuda")),
    reason="no GPU, or fgfa._C is built without CUDA",
)
layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
cases = pytest.mark.parametrize("case", ["a", "b", "c", "d", "shifts"])
warps = pytest.mark.parametrize(
    "warp", [pytest.param(flow_warp, marks=needs_extension), flow_warp_reference]
)


def golden(name: str, device: str) -> Tensor:
    return torch.from_numpy(GOLDENS[f"warp_{name}"]).to(device)


def random_inputs(
    *shape: int, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    n, _, h, w = shape
    feature = torch.randn(*shape, generator=generator, dtype=dtype).to(device)
    flow = 2 * torch.randn(n, 2, h, w, generator=generator, dtype=dtype).to(device)
    return feature.requires_grad_(), flow.requires_grad_()


def expected_warp(feature: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Sums the four corners of every position in a loop."""
    warped = np.zeros(feature.shape)
    batch, _, height, width = feature.shape
    for n, y, x in np.ndindex(batch, height, width):
        at_x, at_y = x + flow[n, 0, y, x], y + flow[n, 1, y, x]
        for row in (math.floor(at_y), math.floor(at_y) + 1):
            for column in (math.floor(at_x), math.floor(at_x) + 1):
                if 0 <= row < height and 0 <= column < width:
                    share = (1 - abs(at_x - column)) * (1 - abs(at_y - row))
                    warped[n, :, y, x] += share * feature[n, :, row, column]
    return warped


def off_the_grid_lines(flow: Tensor) -> Tensor:
    """Where flow has a gradient; on a grid line it has two, one on each side."""
    return ((flow - flow.round()).abs() > 1e-4).all(dim=1, keepdim=True).expand_as(flow)


@devices
@warps
@cases
def test_equals_mxnet(case: str, warp: WarpFn, device: str) -> None:
    feature = golden(f"{case}_data", device).requires_grad_()
    flow = golden(f"{case}_flow", device).requires_grad_()
    warped = warp(feature, flow)
    warped.backward(golden(f"{case}_ograd", device))
    torch.testing.assert_close(warped, golden(f"{case}_out", device), rtol=0, atol=1e-5)
    torch.testing.assert_close(feature.grad, golden(f"{case}_grad_data", device), rtol=0, atol=1e-5)
    # MXNet rounds positions on a grid of -1 to 1; a slope of 8 makes 3e-5 of it (see below).
    smooth = off_the_grid_lines(flow)
    torch.testing.assert_close(
        flow.grad[smooth], golden(f"{case}_grad_flow", device)[smooth], rtol=1e-5, atol=1e-5
    )


@devices
@warps
@cases
def test_equals_mxnet_at_its_rounded_positions(case: str, warp: WarpFn, device: str) -> None:
    feature, flow, grid, *expected, ograd = (
        golden(f"{case}_{name}", device)
        for name in ("data", "flow", "grid", "out", "grad_data", "grad_flow", "ograd")
    )
    sides = torch.tensor(grid.shape[:1:-1], device=device)
    positions = (grid + 1) * (sides - 1).view(2, 1, 1) / 2
    cells = torch.stack(torch.meshgrid(*map(torch.arange, sides.tolist()), indexing="xy"))
    rounded_flow = (positions.double() - cells.to(device)).requires_grad_()
    feature = feature.double().requires_grad_()
    warped = warp(feature, rounded_flow)
    warped.backward(ograd.double())
    smooth = off_the_grid_lines(flow)
    ours = (warped, feature.grad, rounded_flow.grad * smooth)
    expected = tuple(tensor.double() for tensor in (*expected[:2], expected[2] * smooth))
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@warps
@settings(deadline=None, max_examples=50)
@given(
    n=st.integers(0, 2),
    c=st.integers(0, 3),
    h=st.integers(0, 5),
    w=st.integers(0, 5),
    scale=st.sampled_from([0.3, 2.0, 1e9]),
    seed=st.integers(0, 99),
)
def test_equals_loop(warp: WarpFn, n: int, c: int, h: int, w: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    feature, flow = rng.normal(size=(n, c, h, w)), scale * rng.normal(size=(n, 2, h, w))
    warped = warp(torch.from_numpy(feature), torch.from_numpy(flow))
    np.testing.assert_allclose(warped.numpy(), expected_warp(feature, flow), atol=1e-12)


@devices
@warps
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 2, 1, 1), (1, 4, 38, 63)])
def test_zero_flow_is_the_identity(
    warp: WarpFn, shape: tuple[int, ...], dtype: torch.dtype, device: str
) -> None:
    feature = torch.randn(shape, device=device).to(dtype)
    warped = warp(feature, torch.zeros(shape[0], 2, *shape[2:], device=device))
    assert warped.dtype == dtype
    assert torch.equal(warped, feature)


@devices
@warps
@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (0, -3), (-1, 1), (7, 0), (0, -6)])
def test_whole_cells_are_a_shift(warp: WarpFn, dx: int, dy: int, device: str) -> None:
    feature = torch.randn(2, 3, 6, 7, device=device)
    flow = torch.tensor([dx, dy], device=device).view(1, 2, 1, 1).expand(2, 2, 6, 7).float()
    padded = torch.nn.functional.pad(feature, (7, 7, 7, 7))
    expected = padded[:, :, 7 + dy : 13 + dy, 7 + dx : 14 + dx]
    assert torch.equal(warp(feature, flow), expected)


@devices
@warps
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3e38])
@pytest.mark.parametrize("axis", [0, 1])
def test_flow_that_is_not_finite_gives_zero(
    warp: WarpFn, axis: int, value: float, device: str
) -> None:
    feature, flow = random_inputs(1, 2, 4, 5, device=device)
    clean = warp(feature, flow)
    with torch.no_grad():
        flow[0, axis, 2, 3] = value
    warped = warp(feature, flow)
    warped.sum().backward()
    assert not warped[0, :, 2, 3].any()
    assert not flow.grad[0, :, 2, 3].any()
    assert torch.isfinite(feature.grad).all() and torch.isfinite(flow.grad).all()
    others = torch.ones(4, 5, dtype=torch.bool, device=device)
    others[2, 3] = False
    assert torch.equal(warped[..., others], clean[..., others])


@devices
@warps
def test_values_that_are_not_finite_stay_where_they_are_read(warp: WarpFn, device: str) -> None:
    feature = torch.ones(1, 1, 4, 5, device=device)
    feature[..., 0, 0] = math.nan
    flow = torch.full((1, 2, 4, 5), 9.0, device=device)
    assert not warp(feature, flow).any()


@devices
@warps
def test_gradients(warp: WarpFn, device: str) -> None:
    inputs = random_inputs(2, 3, 4, 5, device=device, dtype=torch.float64)
    assert torch.autograd.gradcheck(warp, inputs, nondet_tol=1e-12 if device == "cuda" else 0.0)


@devices
@layouts
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("channels", [5, 299])
def test_equals_reference(
    channels: int, dtype: torch.dtype, layout: torch.memory_format, device: str
) -> None:
    feature, flow = random_inputs(2, channels, 9, 11, device=device)
    # Positions that float32 holds exactly, off the grid lines: they are the same in both.
    flow = ((64 * flow.detach()).round() / 64 + 1 / 128).requires_grad_()
    feature = feature.detach().to(dtype, memory_format=layout).requires_grad_()
    exact = (torch.arange(feature.numel(), device=device) % 31 - 15).view_as(feature) / 16
    results = []
    for warp, inputs in (
        (flow_warp, (feature, flow)),
        (flow_warp_reference, (feature.double(), flow.double())),
    ):
        warped = warp(*inputs)
        assert warped.dtype == inputs[0].dtype
        gradients = torch.autograd.grad(warped, inputs, exact.to(warped.dtype))
        results.append([tensor.double() for tensor in (warped, *gradients)])
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


@devices
def test_memory_layout_does_not_matter(device: str) -> None:
    feature, flow = random_inputs(2, 5, 9, 11, device=device)
    expected = flow_warp(feature, flow)
    channels_last = feature.to(memory_format=torch.channels_last)
    strided = torch.stack((flow, flow), dim=-1)[..., 0]
    assert torch.equal(flow_warp(channels_last, strided), expected)


@needs_extension
@layouts
def test_results_have_the_memory_format_of_the_input(layout: torch.memory_format) -> None:
    feature, flow = random_inputs(2, 5, 9, 11)
    feature = feature.detach().to(memory_format=layout).requires_grad_()
    warped = flow_warp(feature, flow)
    (gradient,) = torch.autograd.grad(warped.square().sum(), feature)
    assert warped.is_contiguous(memory_format=layout)
    assert gradient.is_contiguous(memory_format=layout)


@needs_extension
@layouts
def test_threads_do_not_change_results(layout: torch.memory_format) -> None:
    feature, flow = (
        tensor.detach().to(memory_format=layout).requires_grad_()
        for tensor in random_inputs(2, 37, 41, 53)
    )
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            warped = flow_warp(feature, flow)
            results.append((warped, *torch.autograd.grad(warped.square().sum(), (feature, flow))))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


@needs_extension
@devices
@layouts
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (0, 3, 4, 5), (1, 0, 4, 5), (1, 3, 0, 5)])
def test_operators_are_registered_soundly(
    shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format, device: str
) -> None:
    feature, flow = random_inputs(*shape, device=device)
    feature = feature.detach().to(dtype, memory_format=layout).requires_grad_()
    flow = flow.detach().to(torch.promote_types(dtype, torch.float32)).requires_grad_()
    torch.library.opcheck(torch.ops.fgfa.flow_warp.default, (feature, flow))
    plain = (feature.detach(), feature.detach(), flow.detach())
    torch.library.opcheck(torch.ops.fgfa.flow_warp_backward.default, plain)


@warps
def test_compiles_as_one_graph(warp: WarpFn) -> None:
    feature, flow = random_inputs(2, 3, 4, 5)
    compiled = torch.compile(warp, fullgraph=True, backend="aot_eager")
    warped = compiled(feature, flow)
    assert torch.equal(warped, warp(feature, flow))
    gradients = torch.autograd.grad(warped.square().sum(), (feature, flow))
    expected = torch.autograd.grad(warp(feature, flow).square().sum(), (feature, flow))
    torch.testing.assert_close(gradients, expected)


@devices
def test_autocast_keeps_flow_in_float32(device: str) -> None:
    feature = torch.arange(200.0, device=device).view(1, 1, 1, 200).bfloat16()
    flow = torch.full((1, 2, 1, 200), 0.25, device=device)
    flow[:, 1] = 0
    with torch.autocast(device, torch.bfloat16):
        warped = flow_warp(feature, flow)
        if has_extension(device):
            wide = torch.ops.fgfa.flow_warp(feature, flow.bfloat16())
            assert wide.dtype == torch.float32
    assert torch.equal(warped, flow_warp_reference(feature, flow))


@warps
@pytest.mark.parametrize("shape", [(2, 2, 4, 6), (1, 2, 4, 5), (2, 1, 4, 5), (2, 2, 4)])
def test_flow_of_another_shape_is_an_error(warp: WarpFn, shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match="must have shape"):
        warp(torch.zeros(2, 3, 4, 5), torch.zeros(shape))


@needs_extension
def test_operator_names_the_wrong_type() -> None:
    with pytest.raises(RuntimeError, match="flow must be float32"):
        torch.ops.fgfa.flow_warp(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, 2).double())
    with pytest.raises(RuntimeError, match="grad must have"):
        torch.ops.fgfa.flow_warp_backward(
            torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, 2)
        )


@needs_cuda
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradient_on_cuda_can_be_the_same_in_every_run(layout: torch.memory_format) -> None:
    feature, flow = random_inputs(2, 64, 38, 63, device="cuda")
    feature = feature.contiguous(memory_format=layout)

    def gradients() -> tuple[Tensor, ...]:
        return torch.autograd.grad(flow_warp(feature, flow).square().sum(), (feature, flow))

    usual = gradients()
    torch.use_deterministic_algorithms(True)
    try:
        first, second = gradients(), gradients()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(map(torch.equal, first, second))
    torch.testing.assert_close(first, usual)


@settings(deadline=None, max_examples=50)
@given(
    height=st.integers(2, 6),
    width=st.integers(2, 6),
    reach=st.sampled_from([0.5, 3.0, 100.0]),
    seed=st.integers(0, 2**31),
)
def test_staying_inside_pads_with_the_border(height: int, width: int, reach: float, seed: int):
    generator = torch.Generator().manual_seed(seed)
    feature = torch.randn(1, 2, height, width, generator=generator, dtype=torch.float64)
    flow = reach * torch.randn(1, 2, height, width, generator=generator, dtype=torch.float64)
    cells = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = torch.stack([flow[0, 0] + cells[1], flow[0, 1] + cells[0]], dim=-1)
    grid = at / (torch.tensor([width, height]) - 1) * 2 - 1
    expected = torch.nn.functional.grid_sample(
        feature, grid[None], padding_mode="border", align_corners=True
    )
    torch.testing.assert_close(flow_warp(feature, stay_inside(flow)), expected)


def test_staying_inside_leaves_zero_flow_as_it_is():
    flow = torch.zeros(1, 2, 3, 4)
    assert torch.equal(stay_inside(flow), flow)
