"""The ResNet of the paper: stride 16, conv5 dilated by 2, every batch norm frozen."""

from detectron2.config import CfgNode
from detectron2.layers import FrozenBatchNorm2d, ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone import build_resnet_backbone

from .feature_conv import FeatureConvBackbone


@BACKBONE_REGISTRY.register()
def build_dilated_resnet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FeatureConvBackbone:
    """Builds Detectron2's ResNet with a dilated last stage and the feature convolution.

    Reads the keys of `build_resnet_backbone` (depth 50, 101 or 152), except that RES5_DILATION and
    OUT_FEATURES are set here, and `RESNETS.BN_EPS`. The original: `get_resnet_v1` of its fgfa_rfcn
    symbol file; paper, section 4.1.

    Args:
        cfg: a config with FGFA's keys.
        input_shape: shape of the images; its channels are read.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.RESNETS.RES5_DILATION = 2
    cfg.MODEL.RESNETS.OUT_FEATURES = ["res5"]
    resnet = build_resnet_backbone(cfg, input_shape)
    for module in resnet.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = cfg.MODEL.RESNETS.BN_EPS
    return FeatureConvBackbone.from_config(cfg, resnet)
