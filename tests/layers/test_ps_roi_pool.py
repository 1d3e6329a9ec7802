"""Tests of fgfa.layers.ps_roi_pool; the expected values come from MXNet and from a plain loop."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fgfa.layers import PSROIPool, has_extension, ps_roi_pool, ps_roi_pool_reference

GOLDENS = np.load(Path(__file__).parents[1] / "data" / "ops_ps_roi_pool.npz")
PoolFn = Callable[[Tensor, Tensor, int, float], Tensor]

needs_extension = pytest.mark.skipif(not has_extension(), reason="fgfa._C is not built")
needs_cuda = pytest.mark.skipif(
    not (torch.cuda.is_available() and has_extension("cuda")),
    reason="no GPU, or fgfa._C is built without CUDA",
)
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
pools = pytest.mark.parametrize(
    "pool", [pytest.param(ps_roi_pool, marks=needs_extension), ps_roi_pool_reference]
)


def golden(name: str, device: str) -> Tensor:
    return torch.from_numpy(GOLDENS[f"psroi_{name}"]).to(device)


def random_inputs(
    *shape: int, boxes: int = 20, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Maps of a shape (N, C, H, W), and boxes of all sizes in and around them at scale 1 / 16."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(*shape, generator=generator, dtype=dtype)
    n, _, h, w = shape
    corners = (torch.rand(boxes, 2, 2, generator=generator) * 1.5 - 0.25) * torch.tensor([w, h])
    corners = (16 * corners).sort(dim=1).values.flatten(1)
    images = torch.arange(boxes)[:, None] % max(n, 1)
    rois = torch.cat([images, corners], dim=1).to(torch.promote_types(dtype, torch.float32))
    return maps.to(device).requires_grad_(), rois.to(device)


def forward_and_gradient(pool: PoolFn, maps: Tensor, rois: Tensor, k: int) -> tuple[Tensor, Tensor]:
    pooled = pool(maps, rois, k, 1 / 16)
    return pooled, torch.autograd.grad(pooled.square().sum(), maps)[0]


def round_half_away(x: np.float32) -> np.float32:
    return np.float32(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def bin_range(start: np.float32, end: np.float32, index: int, k: int, cells: int) -> range:
    """Cells of bin ``index`` of a box along one axis, in float32 as the original, scale 1 / 16."""
    scale = np.float32(1 / 16)
    start, end = round_half_away(start) * scale, (round_half_away(end) + np.float32(1)) * scale
    size = max(end - start, np.float32(0.1)) / np.float32(k)
    first, last = np.float32(index) * size + start, np.float32(index + 1) * size + start
    return range(min(max(math.floor(first), 0), cells), min(max(math.ceil(last), 0), cells))


def expected_pool(maps: np.ndarray, rois: np.ndarray, k: int) -> np.ndarray:
    """Averages the cells of each bin in a loop."""
    _, channels, height, width = maps.shape
    pooled = np.zeros((len(rois), channels // k**2, k, k))
    for r, c, i, j in np.ndindex(pooled.shape):
        image, x1, y1, x2, y2 = rois[r]
        rows, columns = bin_range(y1, y2, i, k, height), bin_range(x1, x2, j, k, width)
        if rows and columns:
            plane = maps[int(image), (c * k + i) * k + j]
            pooled[r, c, i, j] = plane[np.ix_(rows, columns)].mean()
    return pooled


@devices
@pools
@pytest.mark.parametrize("case", ["a", "b_batch2"])
def test_equals_mxnet(case: str, pool: PoolFn, device: str) -> None:
    maps = golden(f"{case}_data", device).requires_grad_()
    rois = golden(f"{case}_rois", device).requires_grad_()
    pooled = pool(maps, rois, 7, 1 / 16)
    pooled.backward(golden(f"{case}_ograd", device))
    torch.testing.assert_close(pooled, golden(f"{case}_out", device), rtol=0, atol=1e-5)
    torch.testing.assert_close(maps.grad, golden(f"{case}_grad_data", device), rtol=0, atol=1e-5)
    # None is zero here.
    assert rois.grad is None
    assert not golden(f"{case}_grad_rois", device).any()


# Half pixels are where roundings differ; a few boxes reach outside of the map.
coordinates = st.integers(-60, 400).map(lambda halves: halves / 2)


@pools
@settings(deadline=None, max_examples=50)
@given(
    boxes=st.lists(st.tuples(st.integers(0, 1), *[coordinates] * 4), min_size=1, max_size=4),
    classes=st.sampled_from([0, 1, 2, 9]),
    k=st.integers(1, 3),
    height=st.integers(0, 7),
    width=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_equals_loop(
    pool: PoolFn,
    boxes: list[tuple[float, ...]],
    classes: int,
    k: int,
    height: int,
    width: int,
    seed: int,
) -> None:
    shape = (2, classes * k * k, height, width)
    maps = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    rois = np.array(boxes, dtype=np.float32)
    pooled = pool(torch.from_numpy(maps), torch.from_numpy(rois), k, 1 / 16)
    np.testing.assert_allclose(pooled.numpy(), expected_pool(maps, rois, k), atol=1e-5)


# Less than one block of vector lanes, exactly one, and several of which the last is not full.
@devices
@pytest.mark.parametrize("classes", [3, 8, 19])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_equals_reference(dtype: torch.dtype, classes: int, device: str) -> None:
    maps, rois = random_inputs(2, classes * 9, 13, 17, device=device, dtype=dtype)
    results = [
        forward_and_gradient(pool, maps, rois, 3) for pool in (ps_roi_pool, ps_roi_pool_reference)
    ]
    assert {tensor.dtype for tensor in results[0]} == {dtype}
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 2e-2)
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


@devices
def test_large_bins_keep_their_digits(device: str) -> None:
    maps = torch.full((1, 1, 300, 400), 0.1, device=device)
    rois = torch.tensor([[0.0, 0.0, 0.0, 6400.0, 4800.0]], device=device)
    torch.testing.assert_close(
        ps_roi_pool(maps, rois, 1, 1 / 16), maps[..., :1, :1], rtol=1e-5, atol=0
    )


@devices
def test_memory_layout_does_not_matter(device: str) -> None:
    maps, rois = random_inputs(2, 27, 13, 17, device=device)
    expected = forward_and_gradient(ps_roi_pool, maps, rois, 3)
    channels_last = maps.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    results = forward_and_gradient(ps_roi_pool, channels_last, rois, 3)
    assert all(map(torch.equal, results, expected))
    if has_extension(device):
        assert results[1].is_contiguous(memory_format=torch.channels_last)
    # Cells two elements apart, in a larger tensor.
    strided = torch.stack((maps, maps), dim=-1)[..., 0]
    assert torch.equal(ps_roi_pool(strided, rois.t().contiguous().t(), 3, 1 / 16), expected[0])


def test_module_pools_like_the_function() -> None:
    maps, rois = random_inputs(2, 27, 13, 17)
    module = PSROIPool(3, 1 / 16)
    assert torch.equal(module(maps, rois), ps_roi_pool(maps, rois, 3, 1 / 16))
    assert str(module) == "PSROIPool(output_size=3, spatial_scale=0.0625)"


@pools
def test_lists_of_boxes_and_rows_with_image_index_agree(pool: PoolFn) -> None:
    maps = torch.randn(2, 8, 6, 6)
    boxes = [torch.tensor([[0.0, 0, 40, 50], [16, 16, 90, 90]]), torch.tensor([[5.0, 6, 70, 80]])]
    rois = torch.tensor([[0.0, 0, 0, 40, 50], [0, 16, 16, 90, 90], [1, 5, 6, 70, 80]])
    assert torch.equal(pool(maps, boxes, 2, 1 / 16), pool(maps, rois, 2, 1 / 16))


@devices
@pools
@pytest.mark.parametrize("shape", [(1, 8, 6, 6), (0, 8, 6, 6), (2, 0, 6, 6), (1, 8, 0, 6)])
def test_no_boxes_give_no_rows(shape: tuple[int, ...], pool: PoolFn, device: str) -> None:
    maps = torch.randn(*shape, device=device, requires_grad=True)
    pooled = pool(maps, torch.zeros(0, 5, device=device), 2, 1 / 16)
    pooled.sum().backward()
    assert pooled.shape == (0, shape[1] // 4, 2, 2)
    assert maps.grad.shape == shape
    assert not maps.grad.any()


@devices
@pools
def test_map_of_one_cell(pool: PoolFn, device: str) -> None:
    maps = torch.arange(1.0, 9.0, device=device).view(1, 8, 1, 1)
    rois = torch.tensor([[0.0, 0, 0, 15, 15], [0, 0, 16, 15, 40]], device=device)
    pooled = pool(maps, rois, 2, 1 / 16)
    assert torch.equal(pooled[0], maps.view(2, 2, 2))
    assert not pooled[1].any()


@devices
@pools
def test_gradients(pool: PoolFn, device: str) -> None:
    maps, rois = random_inputs(2, 40, 4, 5, boxes=5, device=device, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: pool(x, rois, 2, 1 / 16), (maps,))


@devices
@pools
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("corner", [1, 2, 3, 4])
def test_boxes_that_are_not_finite_have_no_cells(
    corner: int, value: float, pool: PoolFn, device: str
) -> None:
    maps, rois = random_inputs(1, 8, 6, 7, boxes=3, device=device)
    expected, _ = forward_and_gradient(pool, maps, rois, 2)
    rois[1, corner] = value
    pooled = pool(maps, rois, 2, 1 / 16)
    assert not pooled[1].any()
    assert torch.equal(pooled[::2], expected[::2])
    (gradient,) = torch.autograd.grad(pooled[1].sum(), maps)
    assert not gradient.any()


@devices
@pools
@pytest.mark.parametrize("end", [1e9, 1e20, 3e38])
def test_huge_boxes_cover_the_map(end: float, pool: PoolFn, device: str) -> None:
    maps, _ = random_inputs(1, 2, 6, 7, device=device)
    rois = torch.tensor([[0.0, -end, -end, end, end], [0, end, end, end, end]], device=device)
    pooled = pool(maps, rois, 1, 1 / 16)
    torch.testing.assert_close(pooled[0], maps[0].mean(dim=(1, 2), keepdim=True))
    assert not pooled[1].any()


@needs_extension
@devices
def test_values_that_are_not_finite_stay_where_they_are_read(device: str) -> None:
    maps = torch.ones(1, 8, 8, 8, device=device)
    maps[..., 0, 0] = math.nan
    rois = torch.tensor([[0.0, 0, 0, 127, 127]], device=device)
    pooled = ps_roi_pool(maps, rois, 2, 1 / 16)
    assert pooled[:, :, 0, 0].isnan().all()
    assert pooled.nan_to_num(1.0).eq(1).all()


@pools
@pytest.mark.parametrize("image", [-1.0, 2.0, 1e30, math.nan])
def test_box_on_a_missing_image_is_an_error(image: float, pool: PoolFn) -> None:
    rois = torch.tensor([[0.0, 0, 0, 50, 50], [image, 0, 0, 50, 50]])
    # The plain version has the message of `index_select`.
    with pytest.raises((RuntimeError, IndexError), match=r"box 1 is on image|out of range"):
        pool(torch.zeros(2, 8, 6, 6), rois, 2, 1 / 16)


@needs_cuda
@pytest.mark.parametrize("image", [-1.0, 2.0, 1e30, math.nan])
def test_box_on_a_missing_image_has_no_cells_on_cuda(image: float) -> None:
    maps, rois = random_inputs(2, 8, 6, 7, device="cuda")
    rois[1, 0] = image
    pooled, gradient = forward_and_gradient(ps_roi_pool, maps, rois, 2)
    others = torch.arange(len(rois), device="cuda") != 1
    expected = forward_and_gradient(ps_roi_pool, maps, rois[others], 2)
    assert not pooled[1].any()
    assert torch.equal(pooled[others], expected[0])
    assert torch.equal(gradient, expected[1])


@needs_extension
def test_threads_do_not_change_results() -> None:
    maps, rois = random_inputs(2, 19 * 9, 13, 17, boxes=50)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(forward_and_gradient(ps_roi_pool, maps, rois, 3))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


@needs_cuda
def test_gradient_on_cuda_is_deterministic() -> None:
    # More boxes than a block of the kernel has threads, all over the same cells.
    maps, rois = random_inputs(1, 19 * 9, 13, 17, boxes=700, device="cuda")
    torch.use_deterministic_algorithms(True)
    try:
        results = [forward_and_gradient(ps_roi_pool, maps, rois, 3)[1] for _ in range(3)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@needs_extension
@devices
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_operators_are_registered_soundly(
    layout: torch.memory_format, dtype: torch.dtype, device: str
) -> None:
    maps, rois = random_inputs(2, 8, 6, 7, boxes=5, device=device, dtype=dtype)
    maps = maps.detach().contiguous(memory_format=layout).requires_grad_()
    torch.library.opcheck(torch.ops.fgfa.ps_roi_pool.default, (maps, rois, 2, 1 / 16))
    grad = torch.randn(5, 2, 2, 2, device=device, dtype=dtype)
    torch.library.opcheck(
        torch.ops.fgfa.ps_roi_pool_backward.default,
        (grad, rois, 2, 6, 7, 1 / 16, layout == torch.channels_last),
    )


@needs_extension
@devices
@pytest.mark.parametrize("shape", [(2, 8, 6, 7), (0, 8, 6, 7), (1, 0, 6, 7), (1, 8, 0, 7)])
def test_operators_are_registered_soundly_without_boxes(
    shape: tuple[int, ...], device: str
) -> None:
    maps, rois = random_inputs(*shape, boxes=0, device=device)
    torch.library.opcheck(torch.ops.fgfa.ps_roi_pool.default, (maps, rois, 2, 1 / 16))


@pools
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_compiles_as_one_graph(layout: torch.memory_format, pool: PoolFn) -> None:
    maps, rois = random_inputs(2, 8, 6, 7)
    maps = maps.detach().contiguous(memory_format=layout).requires_grad_()
    compiled = torch.compile(pool, fullgraph=True, backend="aot_eager")
    results = forward_and_gradient(compiled, maps, rois, 2)
    torch.testing.assert_close(results, forward_and_gradient(pool, maps, rois, 2))


@needs_extension
def test_exports_with_any_number_of_boxes() -> None:
    maps, rois = random_inputs(2, 8, 6, 7)
    dynamic = {"input": None, "boxes": {0: torch.export.Dim("boxes")}}
    program = torch.export.export(PSROIPool(2, 1 / 16), (maps, rois), dynamic_shapes=dynamic)
    targets = [node.target for node in program.graph.nodes]
    assert torch.ops.fgfa.ps_roi_pool.default in targets
    few = rois[:3]
    assert torch.equal(program.module()(maps, few), ps_roi_pool(maps, few, 2, 1 / 16))


@devices
def test_autocast_keeps_boxes_in_float32(device: str) -> None:
    maps = torch.randn(1, 8, 40, 70, device=device).bfloat16()
    rois = torch.tensor([[0, 517.0, 301.0, 1003.0, 599.0]], device=device)
    with torch.autocast(device, torch.bfloat16):
        pooled = ps_roi_pool(maps, rois, 2, 1 / 16)
        if has_extension(device):
            wide = torch.ops.fgfa.ps_roi_pool(maps, rois.bfloat16(), 2, 1 / 16)
            assert wide.dtype == torch.float32
    assert torch.equal(pooled, ps_roi_pool(maps, rois, 2, 1 / 16))


@pools
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_type_and_exact_bins(dtype: torch.dtype, pool: PoolFn) -> None:
    maps = torch.randn(1, 8, 40, 70).to(dtype)
    rois = torch.tensor([[0, 517.0, 301.0, 1003.0, 599.0]])
    pooled = pool(maps, rois, 2, 1 / 16)
    assert pooled.dtype == dtype
    expected = expected_pool(maps.float().numpy(), rois.numpy(), 2)
    torch.testing.assert_close(pooled, torch.from_numpy(expected).to(dtype))


@pools
def test_channels_that_are_no_bins_are_an_error(pool: PoolFn) -> None:
    with pytest.raises(RuntimeError, match="10 channels do not divide into 3 x 3 bins"):
        pool(torch.zeros(1, 10, 4, 4), torch.zeros(1, 5), 3, 1 / 16)


@needs_extension
def test_operator_names_the_wrong_argument() -> None:
    maps, rois = torch.zeros(1, 4, 2, 2), torch.zeros(3, 5)
    pool, backward = torch.ops.fgfa.ps_roi_pool, torch.ops.fgfa.ps_roi_pool_backward
    for arguments, message in [
        ((maps[0], rois, 2, 1.0), "input must have shape"),
        ((maps, rois[:, 1:], 2, 1.0), r"boxes must have shape \(R, 5\)"),
        ((maps, rois.double(), 2, 1.0), "boxes must be float32"),
        ((maps.double(), rois, 2, 1.0), "boxes must be float64"),
        ((maps, rois, 0, 1.0), "output_size must be positive"),
        ((maps, rois, 2**32, 1.0), "do not divide"),
        ((maps[..., :1].expand(1, 4, 2, 2**31), rois, 2, 1.0), r"at most 2\^30 cells"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            pool(*arguments)
    for grad, height, message in [
        (torch.zeros(3, 1, 2, 1), 2, "grad must have shape"),
        (torch.zeros(2, 1, 2, 2), 2, "grad must have shape"),
        (torch.zeros(3, 1, 2, 2), -1, "must not be negative"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            backward(grad, rois, 1, height, 2, 1.0, False)
