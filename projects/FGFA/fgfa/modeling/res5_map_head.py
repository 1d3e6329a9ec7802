"""RoI heads behind the last stage of a ResNet, which runs once over the whole map."""

from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.layers import Conv2d, ShapeSpec
from detectron2.modeling.backbone.resnet import BottleneckBlock, ResNet
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, StandardROIHeads
from detectron2.structures import ImageList, Instances
from torch import nn

BLOCKS = 3  # in the last stage of a ResNet of any depth from 50


@ROI_HEADS_REGISTRY.register()
class Res5MapROIHeads(StandardROIHeads):
    """`StandardROIHeads` that pools RoIs from what a dilated res5 makes of the feature.

    Detectron2's `Res5ROIHeads` pools first and runs res5 on every RoI. Source: the
    `ResNetConv52MLPFeatureExtractor` of mega.pytorch.
    """

    @configurable
    def __init__(self, *, res5: nn.Module, reduction: nn.Module, **kwargs: Any) -> None:
        """
        Args:
            res5: maps the feature (N, C, H, W) to (N, D, H, W).
            reduction: maps that to the map (N, E, H, W) that RoIs are pooled from.
            **kwargs: arguments of Detectron2's `StandardROIHeads`.
        """
        super().__init__(**kwargs)
        self.res5 = res5
        self.reduction = reduction

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict:
        (in_feature,) = cfg.MODEL.ROI_HEADS.IN_FEATURES
        shape = input_shape[in_feature]
        channels = cfg.MODEL.RES5_HEAD.REDUCED_CHANNELS
        res5 = _build_res5(cfg, shape.channels)
        reduction: nn.Module = nn.Identity()
        if channels > 0:
            reduction = Conv2d(res5[-1].out_channels, channels, 1, activation=F.relu_)
        pooled = ShapeSpec(channels=channels or res5[-1].out_channels, stride=shape.stride)
        args = super().from_config(cfg, {in_feature: pooled})
        return args | {"res5": res5, "reduction": reduction}

    def forward(
        self,
        images: ImageList,
        features: dict[str, torch.Tensor],
        proposals: list[Instances],
        targets: list[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, torch.Tensor]]:
        """See Detectron2's `ROIHeads.forward`."""
        (in_feature,) = self.in_features
        pooled_from = self.reduction(self.res5(features[in_feature]))
        return super().forward(images, {in_feature: pooled_from}, proposals, targets)


def _build_res5(cfg: CfgNode, in_channels: int) -> nn.Sequential:
    """The last stage, with stride 1 and the dilation of `cfg.MODEL.RESNETS.RES5_DILATION`."""
    resnets = cfg.MODEL.RESNETS
    blocks = ResNet.make_stage(
        BottleneckBlock,
        BLOCKS,
        stride_per_block=[1] * BLOCKS,
        in_channels=in_channels,
        out_channels=8 * resnets.RES2_OUT_CHANNELS,
        bottleneck_channels=8 * resnets.NUM_GROUPS * resnets.WIDTH_PER_GROUP,
        num_groups=resnets.NUM_GROUPS,
        norm=resnets.NORM,
        stride_in_1x1=resnets.STRIDE_IN_1X1,
        dilation=resnets.RES5_DILATION,
    )
    return nn.Sequential(*blocks)
