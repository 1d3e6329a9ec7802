"""Work that a machine does as fast as it can."""

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional as F

from benchmarking.workloads import LAYOUTS

CONVOLUTION, MATRIX_PRODUCT = "convolution", "matrix product"
# One of the backbone's kind, on a larger map.
_CHANNELS, _KERNEL, _MAP = 256, 3, 100
_MATRIX = 2048
# Floating point operations of a run; the border of the map counts like its inside.
_FLOPS = {
    CONVOLUTION: 2 * _CHANNELS**2 * _KERNEL**2 * _MAP**2,
    MATRIX_PRODUCT: 2 * _MATRIX**3,
}


def peak_runs(device: torch.device) -> dict[str, Callable[[], object]]:
    """Functions to time, of each kind of work in one or more variants."""
    maps = torch.rand(1, _CHANNELS, _MAP, _MAP, device=device)
    weight = torch.rand(_CHANNELS, _CHANNELS, _KERNEL, _KERNEL, device=device)
    matrix = torch.rand(_MATRIX, _MATRIX, device=device)
    runs = {MATRIX_PRODUCT: lambda: matrix @ matrix}
    for name, layout in LAYOUTS.items():
        operands = [tensor.contiguous(memory_format=layout) for tensor in (maps, weight)]
        runs[f"{CONVOLUTION}, {name}"] = lambda operands=operands: F.conv2d(
            *operands, padding=_KERNEL // 2
        )
    return runs


def peak_flops_per_second(seconds: Mapping[str, float]) -> dict[str, float]:
    """The peak for each kind of work.

    Args:
        seconds: the least time of each function of `peak_runs`, by its name.
    """
    return {
        kind: flops / min(least for name, least in seconds.items() if name.startswith(kind))
        for kind, flops in _FLOPS.items()
    }
