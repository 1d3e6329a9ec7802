"""Operators: compiled where ``fgfa._C`` is built, plain PyTorch twins elsewhere."""

from fgfa.layers.aggregate import aggregate, aggregate_reference, similarity_weights
from fgfa.layers.extension import has_extension
from fgfa.layers.flow_warp import flow_warp, flow_warp_reference, stay_inside
from fgfa.layers.plain_operators import plain_operators
from fgfa.layers.ps_roi_pool import PSROIPool, ps_roi_pool, ps_roi_pool_reference

__all__ = [
    "PSROIPool",
    "aggregate",
    "aggregate_reference",
    "flow_warp",
    "flow_warp_reference",
    "has_extension",
    "plain_operators",
    "ps_roi_pool",
    "ps_roi_pool_reference",
    "similarity_weights",
    "stay_inside",
]
