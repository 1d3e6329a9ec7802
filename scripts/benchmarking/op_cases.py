"""What `benchmark.py ops` measures: operators, their alternatives, and inputs for both."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarking import compositions
from benchmarking.workloads import LAYOUTS, feature_maps, random_boxes, smooth_flow
from fgfa.layers import (
    aggregate,
    aggregate_reference,
    flow_warp,
    flow_warp_reference,
    ps_roi_pool,
    ps_roi_pool_reference,
)

OpFn = Callable[..., Tensor]
Size = tuple[int, int]

# The training step of the paper: two neighbors of a key frame.
_NEIGHBORS = 2
# R-FCN of the paper: 300 boxes, 7 x 7 bins, 30 classes and background, a cell for 16 pixels.
_BOXES, _BINS, _CLASSES, _STRIDE = 300, 7, 31, 16


@dataclass(frozen=True)
class Case:
    """An operator and its alternatives on one set of inputs."""

    function: OpFn
    compositions: dict[str, OpFn]  # by name, the usual one first
    reference: OpFn  # sums in float64
    inputs: tuple[Tensor, ...]
    grad: Tensor | None  # of the result; None for forward alone
    op: str
    layout: str

    @property
    def backward(self) -> bool:
        return self.grad is not None

    @property
    def title(self) -> str:
        direction = "forward + backward" if self.backward else "forward"
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in self.inputs)
        return f"{self.op}, {direction}, {self.layout} ({shapes})"


def aggregate_cases(
    frames: int, channels: int, embedding: int, size: Size, device: torch.device
) -> Iterator[Case]:
    """Forward of a window of test time, and a step of training; one at a time, as each is large."""
    functions = aggregate, compositions.AGGREGATE, _in_double(aggregate_reference)
    for layout in LAYOUTS:
        for count, backward in ((frames, False), (_NEIGHBORS, True)):
            features = feature_maps(count, channels, size, layout)
            embeddings = feature_maps(count, embedding, size, layout)
            key = feature_maps(1, embedding, size, layout)
            inputs = _to(device, features, embeddings, smooth_flow(count, size), key)
            grad = feature_maps(1, channels, size, layout).to(device) if backward else None
            yield Case(*functions, inputs, grad, "aggregate", layout)


def flow_warp_cases(channels: int, size: Size, device: torch.device) -> Iterator[Case]:
    """Two neighbors, forward and with backward."""
    functions = flow_warp, compositions.FLOW_WARP, _in_double(flow_warp_reference)
    for layout in LAYOUTS:
        features = feature_maps(_NEIGHBORS, channels, size, layout)
        inputs = _to(device, features, smooth_flow(_NEIGHBORS, size))
        for grad in (None, torch.rand_like(inputs[0])):
            yield Case(*functions, inputs, grad, "flow_warp", layout)


def ps_roi_pool_cases(size: Size, device: torch.device) -> Iterator[Case]:
    """Scores of one image, forward and with backward."""
    (boxes,) = _to(device, random_boxes(_BOXES, (size[0] * _STRIDE, size[1] * _STRIDE)))

    def pooling(function: OpFn) -> OpFn:
        return partial(function, boxes=boxes, output_size=_BINS, spatial_scale=1 / _STRIDE)

    alternatives = {name: pooling(f) for name, f in compositions.PS_ROI_POOL.items()}
    # Sums in double anyway. In double coordinates, a box on a cell's edge could get other bins.
    functions = pooling(ps_roi_pool), alternatives, pooling(ps_roi_pool_reference)
    for layout in LAYOUTS:
        inputs = _to(device, feature_maps(1, _CLASSES * _BINS**2, size, layout))
        for grad in (None, torch.rand(_BOXES, _CLASSES, _BINS, _BINS, device=device)):
            yield Case(*functions, inputs, grad, "ps_roi_pool", layout)


def _to(device: torch.device, *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.to(device) for tensor in tensors)


def _in_double(function: OpFn) -> OpFn:
    return lambda *inputs: function(*(tensor.double() for tensor in inputs))
