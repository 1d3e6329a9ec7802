"""Tests of the CUDA operators where no GPU is.

Their very code, from the checks of arguments to the bodies of the kernels, is compiled for the CPU
with threads as fibers (fibers.h), and whole grids are compared with the plain PyTorch twins.
"""

import ctypes
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.cpp_extension import include_paths, library_paths

from fgfa.layers import aggregate_reference, flow_warp_reference, ps_roi_pool_reference

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "projects" / "FGFA" / "fgfa" / "layers" / "csrc"
COMPILER = os.environ.get("CXX", "c++").split()[0]
FLAGS = (
    *("-O1", "-std=c++20", "-shared", "-fPIC", "-DTORCH_TARGET_VERSION=0x020a000000000000"),
    # Ends the process where a pack is not aligned, as a GPU would.
    *("-fsanitize=alignment", "-fsanitize-undefined-trap-on-error"),
)
# Multiplications are fused into additions, as nvcc does.
FUSE = ("-march=native", "-ffp-contract=fast", "-fexpensive-optimizations")

pytestmark = [
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason="there is no C++ compiler"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="fibers need ucontext.h"),
]

# How far results may be from the twins in double precision; half types round results once.
TOLERANCE = {
    torch.float64: {"rtol": 1e-11, "atol": 1e-12},
    torch.float32: {"rtol": 1e-5, "atol": 1e-5},
    torch.float16: {"rtol": 1e-3, "atol": 1e-4},
    torch.bfloat16: {"rtol": 8e-3, "atol": 1e-4},
}

dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
# Packs need a multiple of 4 channels (2 of float64) that begins at a multiple of 16 bytes.
maps = pytest.mark.parametrize(
    ("channels", "layout", "shift"),
    [
        (35, torch.contiguous_format, 0),
        (300, torch.channels_last, 0),
        (69, torch.channels_last, 0),
        (68, torch.channels_last, 1),
    ],
    ids=["first", "last", "odd", "unaligned"],
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("kernels") / "kernels.so"
    includes = [f"-I{CSRC}", *(f"-isystem{include}" for include in include_paths())]
    links = [f"-L{library_paths()[0]}", "-ltorch_cpu", "-lc10"]
    source = HERE / "cuda_kernels_on_host.cpp"
    command = [COMPILER, *FLAGS, *FUSE, *includes, str(source), "-o", str(path), *links]
    build = subprocess.run(command, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    torch.ops.load_library(path)
    return ctypes.CDLL(str(path))


@pytest.fixture
def set_grid(library: ctypes.CDLL) -> Iterator[Callable[[int, bool], None]]:
    def set_grid(max_blocks: int, last_thread_first: bool) -> None:
        library.set_grid(ctypes.c_int64(max_blocks), ctypes.c_bool(last_thread_first))

    set_grid(1 << 20, False)
    yield set_grid
    set_grid(1 << 20, False)


def guarded(values: Tensor, shift: int = 0) -> Tensor:
    """Copies a tensor to among NaN, which show in results if a kernel reads beside it."""
    guard = 64
    flat = torch.full((values.numel() + 2 * guard,), math.nan, dtype=values.dtype)
    return flat.as_strided(values.shape, values.stride(), guard + shift).copy_(values)


def random_maps(
    n: int,
    channels: int,
    *,
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
    shift: int = 0,
    size: tuple[int, int] = (5, 7),
    seed: int = 0,
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, channels, *size, generator=generator).to(dtype)
    return guarded(values.contiguous(memory_format=layout), shift)


def random_flow(n: int, dtype: torch.dtype, size: tuple[int, int] = (5, 7)) -> Tensor:
    """Flow up to some cells out of the map, with some of it not finite."""
    generator = torch.Generator().manual_seed(9)
    flow = 2 * torch.randn(n, 2, *size, generator=generator)
    flow = flow.to(torch.promote_types(dtype, torch.float32))
    for i, value in enumerate((math.nan, math.inf, -math.inf, 3e38)):
        flow.view(-1)[i * flow.numel() // 4 + i :][:1] = value
    return guarded(flow)


def twin(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    """Result, gradient of the result and gradients of the inputs, in double precision."""
    doubles = [tensor.double().contiguous().requires_grad_() for tensor in inputs]
    result = function(*doubles)
    grad = torch.randn(result.shape, generator=torch.Generator().manual_seed(5))
    grad = grad.to(inputs[0].dtype)
    grads = torch.autograd.grad(result, doubles, grad.double(), materialize_grads=True)
    return result, grad, *grads


def window(
    frames: int = 3,
    keys: int = 2,
    channels: int = 35,
    layout: torch.memory_format = torch.contiguous_format,
    dtype: torch.dtype = torch.float32,
    shift: int = 0,
) -> tuple[Tensor, ...]:
    """Arguments of aggregate; the embeddings in the other layout than the features."""
    contiguous, channels_last = torch.contiguous_format, torch.channels_last
    other_layout = contiguous if layout == channels_last else channels_last
    n = frames * keys
    return (
        random_maps(n, channels, dtype=dtype, layout=layout, shift=shift, seed=1),
        random_maps(n, 44, dtype=dtype, layout=other_layout, shift=shift, seed=2),
        random_flow(n, dtype),
        random_maps(keys, 44, dtype=dtype, seed=3),
    )


@maps
@dtypes
def test_flow_warp_equals_reference(
    set_grid: object, dtype: torch.dtype, channels: int, layout: torch.memory_format, shift: int
) -> None:
    feature = random_maps(3, channels, dtype=dtype, layout=layout, shift=shift)
    flow = random_flow(3, dtype)
    expected, grad, *grads = twin(flow_warp_reference, feature, flow)
    ops = torch.ops.fgfa_on_host
    warped = ops.flow_warp(feature, flow)
    assert warped.dtype == dtype and warped.is_contiguous(memory_format=layout)
    torch.testing.assert_close(warped.double(), expected, **TOLERANCE[dtype])
    for deterministic in (False, True):
        ours = ops.flow_warp_backward(guarded(grad), feature, flow, deterministic)
        assert ours[0].dtype == dtype and ours[0].is_contiguous(memory_format=layout)
        torch.testing.assert_close([g.double() for g in ours], grads, **TOLERANCE[dtype])


@maps
@dtypes
def test_aggregate_equals_reference(
    set_grid: object, dtype: torch.dtype, channels: int, layout: torch.memory_format, shift: int
) -> None:
    inputs = window(dtype=dtype, channels=channels, layout=layout, shift=shift)
    expected, grad, *grads = twin(aggregate_reference, *inputs)
    ops = torch.ops.fgfa_on_host
    result = ops.aggregate(*inputs)
    assert result.dtype == dtype and result.is_contiguous(memory_format=layout)
    torch.testing.assert_close(result.double(), expected, **TOLERANCE[dtype])
    for deterministic in (False, True):
        ours = ops.aggregate_backward(guarded(grad), *inputs, deterministic)
        assert [g.dtype for g in ours] == [tensor.dtype for tensor in inputs]
        assert [g.stride() for g in ours] == [tensor.stride() for tensor in inputs]
        torch.testing.assert_close([g.double() for g in ours], grads, **TOLERANCE[dtype])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_grid_and_order_of_threads_do_not_matter(
    set_grid: Callable[[int, bool], None], layout: torch.memory_format
) -> None:
    ops, inputs = torch.ops.fgfa_on_host, window(layout=layout)

    def run() -> list[Tensor]:
        result = ops.aggregate(*inputs)
        return [result, *ops.aggregate_backward(result, *inputs, True)]

    expected = run()
    for max_blocks, last_thread_first in ((1, False), (3, True)):
        set_grid(max_blocks, last_thread_first)
        assert all(map(torch.equal, run(), expected))


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_thread_that_misses_a_sum_is_noticed(library: ctypes.CDLL, channels_last: bool) -> None:
    arrive = library.all_threads_arrive
    arrive.restype, arrive.argtypes = ctypes.c_bool, (ctypes.c_bool, ctypes.c_bool)
    assert arrive(channels_last, True)
    assert not arrive(channels_last, False)


def small_window(
    keys: int, frames: int, channels: int, embedding_channels: int, size: tuple[int, int]
) -> list[Tensor]:
    n, generator = keys * frames, torch.Generator().manual_seed(0)
    shapes = ((n, channels), (n, embedding_channels), (n, 2), (keys, embedding_channels))
    return [torch.randn(*shape, *size, generator=generator) for shape in shapes]


@pytest.mark.parametrize(
    ("frames", "channels", "embedding_channels", "size"),
    [
        pytest.param(2, 0, 4, (5, 7), id="no_channels"),
        pytest.param(2, 3, 0, (5, 7), id="no_embeddings"),
        pytest.param(2, 3, 4, (0, 7), id="no_cells"),
        pytest.param(2, 3, 4, (1, 1), id="one_cell"),
        pytest.param(33, 3, 4, (3, 2), id="many_frames"),
    ],
)
def test_small_windows_equal_reference(
    set_grid: object, frames: int, channels: int, embedding_channels: int, size: tuple[int, int]
) -> None:
    inputs = small_window(1, frames, channels, embedding_channels, size)
    expected, grad, *grads = twin(aggregate_reference, *inputs)
    ops = torch.ops.fgfa_on_host
    result = ops.aggregate(*inputs)
    torch.testing.assert_close(result.double(), expected, **TOLERANCE[torch.float32])
    for deterministic in (False, True):
        ours = ops.aggregate_backward(grad.float(), *inputs, deterministic)
        ours = [gradient.double() for gradient in ours]
        torch.testing.assert_close(ours, grads, **TOLERANCE[torch.float32])


@pytest.mark.parametrize(("keys", "frames"), [(2, 0), (0, 3)])
def test_nothing_to_sum_gives_zeros(set_grid: object, keys: int, frames: int) -> None:
    inputs, ops = small_window(keys, frames, 3, 4, (5, 7)), torch.ops.fgfa_on_host
    result = ops.aggregate(*inputs)
    assert torch.equal(result, torch.zeros(keys, 3, 5, 7))
    for deterministic in (False, True):
        grads = ops.aggregate_backward(result + 1, *inputs, deterministic)
        assert all(map(torch.equal, grads, map(torch.zeros_like, inputs)))


def maps_and_boxes(
    layout: torch.memory_format = torch.contiguous_format, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Maps of several blocks of classes and of cells, and boxes of more than a block of threads.

    Boxes start far outside and end between two cells: bins where each rounding error shows.
    """
    n, h, w = 2, 13, 23
    maps = random_maps(n, 19 * 9, dtype=dtype, layout=layout, size=(h, w))
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(n, (300, 1), generator=generator)
    starts = torch.randint(-1000, 100, (300, 2), generator=generator)
    ends = (torch.rand(300, 2, generator=generator) * torch.tensor([w, h])).ceil() * 16 - 1
    rois = torch.cat([images, starts, ends], dim=1)
    return maps, guarded(rois.to(torch.promote_types(dtype, torch.float32)))


def pool_and_backward(maps: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
    ops, (n, _, h, w) = torch.ops.fgfa_on_host, maps.shape
    pooled = ops.ps_roi_pool(maps, rois, 3, 1 / 16)
    last = not maps.is_contiguous()
    return pooled, ops.ps_roi_pool_backward(guarded(pooled), rois, n, h, w, 1 / 16, last)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@dtypes
def test_ps_roi_pool_equals_reference(
    set_grid: object, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    maps, rois = maps_and_boxes(layout, dtype)
    pooled, gradient = pool_and_backward(maps, rois)
    twin_maps = maps.clone().requires_grad_()
    expected = ps_roi_pool_reference(twin_maps, rois, 3, 1 / 16)
    torch.testing.assert_close(pooled, expected, **TOLERANCE[dtype])
    # The plain version would add up gradients in half precision.
    twin_maps = maps.double().requires_grad_()
    expected = ps_roi_pool_reference(twin_maps, rois, 3, 1 / 16)
    (expected,) = torch.autograd.grad(expected, twin_maps, pooled.double())
    assert gradient.dtype == dtype and gradient.is_contiguous(memory_format=layout)
    torch.testing.assert_close(gradient.double(), expected, **TOLERANCE[dtype])


@pytest.mark.parametrize("image", [-1.0, 2.0, 1e30, math.nan])
def test_box_on_a_missing_image_has_no_cells(set_grid: object, image: float) -> None:
    maps, rois = maps_and_boxes()
    rois[1, 0] = image
    pooled, gradient = pool_and_backward(maps, rois)
    others = torch.arange(len(rois)) != 1
    expected, expected_gradient = pool_and_backward(maps, rois[others])
    assert not pooled[1].any()
    assert torch.equal(pooled[others], expected)
    assert torch.equal(gradient, expected_gradient)


def test_grid_of_ps_roi_pool_does_not_matter(set_grid: Callable[[int, bool], None]) -> None:
    maps, rois = maps_and_boxes()
    expected = pool_and_backward(maps, rois)
    for max_blocks, last_thread_first in ((1, False), (3, True)):
        set_grid(max_blocks, last_thread_first)
        assert all(map(torch.equal, pool_and_backward(maps, rois), expected))


@pytest.mark.parametrize("shape", [(2, 0, 5, 7), (1, 18, 0, 7), (1, 18, 1, 1), (0, 18, 5, 7)])
@pytest.mark.parametrize("boxes", [0, 2])
def test_pooling_small_maps_equals_reference(
    set_grid: object, shape: tuple[int, ...], boxes: int
) -> None:
    maps = torch.ones(shape)
    rois = torch.tensor([[0.0, 0, 0, 60, 90]]).repeat(boxes, 1)
    pooled, gradient = pool_and_backward(maps, rois)
    if shape[0] == 0:
        expected, expected_gradient = torch.zeros(boxes, 2, 3, 3), maps
    else:
        maps.requires_grad_()
        expected = ps_roi_pool_reference(maps, rois, 3, 1 / 16)
        (expected_gradient,) = torch.autograd.grad(expected, maps, expected)
    torch.testing.assert_close(pooled, expected)
    torch.testing.assert_close(gradient, expected_gradient)
