"""No flow network: features are aggregated where they lie."""

import torch

from .registry import CELL, FLOW_NET_REGISTRY
from .unlearned import UnlearnedFlow


@FLOW_NET_REGISTRY.register()
class ZeroFlow(UnlearnedFlow):
    """Takes every frame for unmoved, as the paper's methods (b) and (c) in table 1."""

    def predictions(self, key: torch.Tensor, neighbor: torch.Tensor) -> list[torch.Tensor]:
        """One flow of zeros, see `FlowNet.predictions`."""
        count, _, height, width = key.shape
        return [key.new_zeros(count, 2, -(-height // CELL), -(-width // CELL))]
