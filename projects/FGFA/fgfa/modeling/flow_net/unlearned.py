"""What flow networks without weights have in common."""

import torch
from detectron2.config import CfgNode, configurable

from .registry import FlowNet


class UnlearnedFlow(FlowNet):
    """A flow network that has no parameters, and takes images as they are."""

    @configurable
    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        return {}

    def normalize(self, image: torch.Tensor) -> torch.Tensor:
        """Leaves an image as it is, but for its type: (..., H, W) float."""
        return image.float()
