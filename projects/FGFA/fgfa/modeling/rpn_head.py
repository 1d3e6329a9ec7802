"""The region proposal head of R-FCN: 1x1 convolutions on the first half of the channels."""

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling.anchor_generator import build_anchor_generator
from detectron2.modeling.proposal_generator.rpn import RPN_HEAD_REGISTRY
from torch import nn


@RPN_HEAD_REGISTRY.register()
class RFCNRPNHead(nn.Module):
    """Scores anchors and predicts their box deltas, without Faster R-CNN's 3x3 convolution.

    Source: `get_train_symbol` of the original, where channels 0-511 of the feature feed the region
    proposal network and 512-1023 the R-FCN head.
    """

    @configurable
    def __init__(self, *, in_channels: int, num_anchors: int, box_dim: int = 4) -> None:
        """
        Args:
            in_channels: channels of the whole feature; the head reads the first half of them.
            num_anchors: anchors of a cell.
            box_dim: numbers that describe a box.
        """
        super().__init__()
        self.half_channels = in_channels // 2
        self.objectness_logits = nn.Conv2d(self.half_channels, num_anchors, kernel_size=1)
        self.anchor_deltas = nn.Conv2d(self.half_channels, num_anchors * box_dim, kernel_size=1)
        for layer in (self.objectness_logits, self.anchor_deltas):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: list[ShapeSpec]) -> dict:
        anchor_generator = build_anchor_generator(cfg, input_shape)
        (feature_shape,) = input_shape
        return {
            "in_channels": feature_shape.channels,
            "num_anchors": anchor_generator.num_anchors[0],
            "box_dim": anchor_generator.box_dim,
        }

    def forward(
        self, features: list[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """
        Args:
            features: tensors of shape (N, in_channels, H, W).

        Returns:
            For each feature, logits of shape (N, anchors, H, W) and box deltas of shape
            (N, anchors * box_dim, H, W).
        """
        halves = [feature[:, : self.half_channels] for feature in features]
        return (
            [self.objectness_logits(half) for half in halves],
            [self.anchor_deltas(half) for half in halves],
        )
