"""Backbones of stride 16; importing them registers their builders with Detectron2."""

from .dilated_resnet import build_dilated_resnet_backbone
from .efficientnet_lite import build_efficientnet_lite_backbone
from .feature_conv import FeatureConvBackbone
from .timm_backbone import build_timm_backbone

__all__ = [
    "FeatureConvBackbone",
    "build_dilated_resnet_backbone",
    "build_efficientnet_lite_backbone",
    "build_timm_backbone",
]
