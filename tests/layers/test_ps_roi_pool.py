"""Tests of fgfa.layers.ps_roi_pool; the expected values come from MXNet and from a plain loop."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fgfa.layers import PSROIPool, ps_roi_pool

GOLDENS = np.load(Path(__file__).parents[1] / "data" / "ops_ps_roi_pool.npz")


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDENS[f"psroi_{name}"])


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


@pytest.mark.parametrize("case", ["a", "b_batch2"])
def test_equals_mxnet(case: str) -> None:
    maps = golden(f"{case}_data").requires_grad_()
    rois = golden(f"{case}_rois").requires_grad_()
    pooled = PSROIPool(7, 1 / 16)(maps, rois)
    pooled.backward(golden(f"{case}_ograd"))
    torch.testing.assert_close(pooled, golden(f"{case}_out"), rtol=0, atol=1e-5)
    torch.testing.assert_close(maps.grad, golden(f"{case}_grad_data"), rtol=0, atol=1e-5)
    # None is zero here.
    assert rois.grad is None
    assert not golden(f"{case}_grad_rois").any()


# Half pixels are where roundings differ; a few boxes reach outside of the map.
coordinates = st.integers(-60, 400).map(lambda halves: halves / 2)


@settings(deadline=None, max_examples=50)
@given(
    boxes=st.lists(st.tuples(st.integers(0, 1), *[coordinates] * 4), min_size=1, max_size=4),
    k=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_equals_loop(boxes: list[tuple[float, ...]], k: int, seed: int) -> None:
    maps = np.random.default_rng(seed).normal(size=(2, 2 * k * k, 7, 9)).astype(np.float32)
    rois = np.array(boxes, dtype=np.float32)
    pooled = ps_roi_pool(torch.from_numpy(maps), torch.from_numpy(rois), k, 1 / 16)
    np.testing.assert_allclose(pooled.numpy(), expected_pool(maps, rois, k), atol=1e-5)


def test_lists_of_boxes_and_rows_with_image_index_agree() -> None:
    maps = torch.randn(2, 8, 6, 6)
    boxes = [torch.tensor([[0.0, 0, 40, 50], [16, 16, 90, 90]]), torch.tensor([[5.0, 6, 70, 80]])]
    rois = torch.tensor([[0.0, 0, 0, 40, 50], [0, 16, 16, 90, 90], [1, 5, 6, 70, 80]])
    assert torch.equal(ps_roi_pool(maps, boxes, 2, 1 / 16), ps_roi_pool(maps, rois, 2, 1 / 16))


def test_no_boxes_give_no_rows() -> None:
    maps = torch.randn(1, 8, 6, 6, requires_grad=True)
    pooled = ps_roi_pool(maps, [torch.zeros(0, 4)], 2, 1 / 16)
    pooled.sum().backward()
    assert pooled.shape == (0, 2, 2, 2)
    assert not maps.grad.any()


def test_gradients() -> None:
    maps = torch.randn(2, 8, 4, 5, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 3.0, 5.0, 60.0, 40.0], [1, -9.5, 0.5, 30.5, 90.0]]).double()
    assert torch.autograd.gradcheck(lambda x: ps_roi_pool(x, rois, 2, 1 / 16), (maps,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_type_and_exact_bins(dtype: torch.dtype) -> None:
    maps = torch.randn(1, 8, 40, 70).to(dtype)
    rois = torch.tensor([[0, 517.0, 301.0, 1003.0, 599.0]])
    pooled = ps_roi_pool(maps, rois, 2, 1 / 16)
    assert pooled.dtype == dtype
    expected = expected_pool(maps.float().numpy(), rois.numpy(), 2)
    torch.testing.assert_close(pooled, torch.from_numpy(expected).to(dtype))


def test_channels_that_are_no_bins_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="10 channels do not divide into 3 x 3 bins"):
        ps_roi_pool(torch.zeros(1, 10, 4, 4), torch.zeros(1, 5), 3, 1 / 16)
