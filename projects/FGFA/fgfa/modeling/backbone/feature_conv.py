"""The 3x3 convolution behind every backbone of FGFA."""

import fvcore.nn.weight_init as weight_init
import torch
from detectron2.config import CfgNode
from detectron2.layers import Conv2d, ShapeSpec
from detectron2.modeling.backbone import Backbone
from torch import nn

STRIDE = 16


class FeatureConvBackbone(Backbone):
    """A single-level backbone of stride 16, then a dilated 3x3 convolution and ReLU.

    The original puts `feat_conv_3x3` behind conv5, so that the detection heads need no hidden
    layers of their own (`get_resnet_v1` of its fgfa_rfcn symbol file).
    """

    def __init__(self, body: Backbone, out_channels: int, dilation: int) -> None:
        """Puts the convolution behind `body`.

        Args:
            body: backbone with exactly one output, of stride 16.
            out_channels: channels of "feat".
            dilation: dilation of the convolution; its padding is the same, so sizes are kept.

        Raises:
            ValueError: if `body` has several outputs or one of another stride.
        """
        super().__init__()
        shapes = body.output_shape()
        if [shape.stride for shape in shapes.values()] != [STRIDE]:
            raise ValueError(f"The body of a backbone gives one map of stride 16, not {shapes}.")
        ((self._body_output, shape),) = shapes.items()
        self.body = body
        self.feat_conv = Conv2d(
            shape.channels,
            out_channels,
            kernel_size=3,
            padding=dilation,
            dilation=dilation,
            activation=nn.functional.relu_,
        )
        weight_init.c2_msra_fill(self.feat_conv)

    @classmethod
    def from_config(cls, cfg: CfgNode, body: Backbone) -> "FeatureConvBackbone":
        """Takes OUT_CHANNELS and DILATION of `cfg.MODEL.FEATURE_CONV`."""
        return cls(body, cfg.MODEL.FEATURE_CONV.OUT_CHANNELS, cfg.MODEL.FEATURE_CONV.DILATION)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Computes features.

        Args:
            image: normalized images (N, 3, H, W).

        Returns:
            {"feat": (N, out_channels, ceil(H / 16), ceil(W / 16))}.
        """
        return {"feat": self.feat_conv(self.body(image)[self._body_output])}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Gives channels and stride of "feat"."""
        return {"feat": ShapeSpec(channels=self.feat_conv.out_channels, stride=STRIDE)}
