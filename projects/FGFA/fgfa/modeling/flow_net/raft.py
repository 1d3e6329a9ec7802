"""torchvision's RAFT (Teed and Deng, ECCV 2020) as a flow network."""

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from torchvision.models import optical_flow

from .registry import CELL, FLOW_NET_REGISTRY, FlowNet


@FLOW_NET_REGISTRY.register()
class RAFT(FlowNet):
    """RAFT, with its flow averaged over feature cells of 16 x 16 pixels."""

    MIN_SIZE = 128  # torchvision correlates at four scales of a stride-8 map and needs 16 cells
    MULTIPLE = 8

    @configurable
    def __init__(self, *, variant: str = "raft_small", updates: int = 12) -> None:
        """
        Args:
            variant: "raft_small" or "raft_large" of torchvision. Its weights can be loaded from
                torchvision's checkpoints into `self.net`.
            updates: recurrent flow updates of a pair.
        """
        super().__init__()
        self.net = getattr(optical_flow, variant)(weights=None)
        self.updates = updates

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, object]:
        return {}

    def normalize(self, image: torch.Tensor) -> torch.Tensor:
        """Maps 0-255 to -1..1."""
        return image / 127.5 - 1

    def predictions(self, key: torch.Tensor, neighbor: torch.Tensor) -> list[torch.Tensor]:
        """Gives the flow after every update, the last one first."""
        height, width = key.shape[-2:]
        flows = self.net(self._pad(key), self._pad(neighbor), num_flow_updates=self.updates)
        return [_to_cells(flow[..., :height, :width]) for flow in reversed(flows)]

    def _pad(self, image: torch.Tensor) -> torch.Tensor:
        """Repeats the right and bottom border up to a size that RAFT takes."""
        height, width = (max(self.MIN_SIZE, s + -s % self.MULTIPLE) for s in image.shape[-2:])
        missing = (0, width - image.shape[-1], 0, height - image.shape[-2])
        return F.pad(image, missing, mode="replicate")


def _to_cells(flow: torch.Tensor) -> torch.Tensor:
    """Averages pixel flow (N, 2, H, W) over cells of 16 x 16 and states it in cells."""
    return F.avg_pool2d(flow, CELL, ceil_mode=True, count_include_pad=False) / CELL
