"""The registry of flow networks."""

import torch
from detectron2.config import CfgNode
from detectron2.utils.registry import Registry
from torch import nn

CELL = 16  # pixels along each side of a feature cell

FLOW_NET_REGISTRY = Registry("FLOW_NET")
FLOW_NET_REGISTRY.__doc__ = (
    "Registry of flow networks: subclasses of `FlowNet`, called with the config."
)


class FlowNet(nn.Module):
    """Estimates flow between pairs of frames.

    A subclass implements `normalize` and `predictions`. Where a part of its work concerns one
    frame of a pair alone, it can do this part once a frame, in `shrink`, `as_key` and
    `as_neighbor`, and the rest in `forward`.

    Attributes:
        PARTS_OF_A_FRAME: names of the submodules that `as_key` and `as_neighbor` use.
    """

    PARTS_OF_A_FRAME: tuple[str, ...] = ()

    def normalize(self, image: torch.Tensor) -> torch.Tensor:
        """Maps images to the network's own range.

        Args:
            image: (3, H, W) or (N, 3, H, W), RGB in 0-255.
        """
        raise NotImplementedError

    def predictions(self, key: torch.Tensor, neighbor: torch.Tensor) -> list[torch.Tensor]:
        """Gives all the flows that training compares with the exact one, the best first.

        Args:
            key: normalized key frames, (N, 3, H, W).
            neighbor: normalized neighbors, (N, 3, H, W).

        Returns:
            Flows (N, 2, h, w), channel 0 = x, all in cells of 16 x 16 pixels; the first is what
            `forward` gives, others may be of coarser grids.
        """
        raise NotImplementedError

    def shrink(self, image: torch.Tensor) -> torch.Tensor:
        """What is kept of normalized frames (N, 3, H, W), (N, C, h, w)."""
        return image

    def as_key(self, shrunk: torch.Tensor) -> torch.Tensor:
        """What is made of shrunk frames for all pairs in which they are the key frame, (N, ...)."""
        return shrunk

    def as_neighbor(self, shrunk: torch.Tensor) -> torch.Tensor:
        """What is made of shrunk frames for all pairs in which they are the neighbor, (N, ...)."""
        return shrunk

    def forward(self, keys: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
        """Estimates the flow from key frames to their neighbors.

        Args:
            keys: what `as_key` gave for N key frames.
            neighbors: what `as_neighbor` gave for N neighbors.

        Returns:
            Flow (N, 2, ceil(H/16), ceil(W/16)), channel 0 = x, in cells of 16 x 16 pixels.
        """
        return self.predictions(keys, neighbors)[0]


def build_flow_net(cfg: CfgNode) -> FlowNet:
    """Builds the flow network that `cfg.MODEL.FLOW_NET.NAME` names, without pretrained weights."""
    return FLOW_NET_REGISTRY.get(cfg.MODEL.FLOW_NET.NAME)(cfg)
