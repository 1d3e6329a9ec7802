"""Flow by OpenCV, without weights: more exact than a small FlowNetS, on the CPU only."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from .registry import CELL, FLOW_NET_REGISTRY
from .unlearned import UnlearnedFlow

_LUMA = (0.299, 0.587, 0.114)  # of R, G and B, ITU-R BT.601


@FLOW_NET_REGISTRY.register()
class DIS(UnlearnedFlow):
    """Dense inverse search (Kroeger et al., ECCV 2016), averaged over each feature cell.

    Nothing in it is learned, and no gradient goes through it. Like FlowNetS it sees half-size
    images, which takes a fifth of the time and hardly changes the average over a cell.
    """

    def predictions(self, key: torch.Tensor, neighbor: torch.Tensor) -> list[torch.Tensor]:
        """One flow, see `FlowNet.predictions`."""
        return [self(self.shrink(key), self.shrink(neighbor))]

    def shrink(self, image: torch.Tensor) -> torch.Tensor:
        """Gray images (N, 1, ceil(H / 2), ceil(W / 2)) uint8 of RGB images (N, 3, H, W)."""
        luma = image.new_tensor(_LUMA).view(3, 1, 1)
        gray = (image * luma).sum(dim=1, keepdim=True)
        return F.avg_pool2d(gray, 2, ceil_mode=True).round().clamp(0, 255).byte()

    def forward(self, keys: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
        """Flow from key frames to their neighbors, see `FlowNet.forward`."""
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        pairs = zip(keys[:, 0].cpu().numpy(), neighbors[:, 0].cpu().numpy(), strict=True)
        flow = np.stack([dis.calc(key, neighbor, None) for key, neighbor in pairs])
        flow = torch.from_numpy(flow).permute(0, 3, 1, 2).to(keys.device)
        return F.avg_pool2d(flow, CELL // 2, ceil_mode=True) / (CELL // 2)
