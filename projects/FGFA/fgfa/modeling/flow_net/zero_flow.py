"""No flow network: features are aggregated where they lie."""

import torch
from detectron2.config import CfgNode, configurable

from .registry import FLOW_NET_REGISTRY, FlowNet

CELL = 16  # pixels along each side of a feature cell


@FLOW_NET_REGISTRY.register()
class ZeroFlow(FlowNet):
    """Takes every frame for unmoved, as the paper's methods (b) and (c) in table 1."""

    @configurable
    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        return {}

    def normalize(self, image: torch.Tensor) -> torch.Tensor:
        """Leaves an image as it is, but for its type: (..., H, W) float."""
        return image.float()

    def predictions(self, key: torch.Tensor, neighbor: torch.Tensor) -> list[torch.Tensor]:
        """One flow of zeros, see `FlowNet.predictions`."""
        count, _, height, width = key.shape
        return [key.new_zeros(count, 2, -(-height // CELL), -(-width // CELL))]
