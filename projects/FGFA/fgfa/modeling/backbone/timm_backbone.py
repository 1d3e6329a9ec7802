"""Backbones of the timm package at stride 16, every batch norm frozen."""

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone import Backbone
from torch import nn

from fgfa.errors import InputError

from .feature_conv import STRIDE, FeatureConvBackbone


class TimmBackbone(Backbone):
    """The last feature map of a timm model that was made with `features_only=True`."""

    def __init__(self, model: nn.Module, freeze_at: int) -> None:
        """Takes `model` and leaves its leading levels untrained.

        Args:
            model: timm feature extractor with one output.
            freeze_at: leading levels of timm's `feature_info` (in a ResNet: stem, layer1, ...) that
                are not trained, with all layers before them.
        """
        super().__init__()
        self.model = model
        levels = [level["module"] for level in model.feature_info.info][:freeze_at]
        if levels:
            _freeze_through(model, levels[-1])

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps images (N, 3, H, W) to {"last": (N, C, ceil(H / 16), ceil(W / 16))}."""
        height, width = image.shape[-2:]
        # Models that cut images into patches drop what is left at the right and bottom.
        (feature,) = self.model(F.pad(image, (0, -width % STRIDE, 0, -height % STRIDE)))
        return {"last": feature}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Gives channels and stride of "last"."""
        info = self.model.feature_info
        return {"last": ShapeSpec(channels=info.channels()[-1], stride=info.reduction()[-1])}


def _freeze_through(model: nn.Module, level: str) -> None:
    named = dict(model.named_modules())
    # timm flattens the names of nested modules in some of its extractors.
    last = named[level] if level in named else named[level.replace(".", "_")]
    modules = list(model.modules())
    for module in modules[: modules.index(last) + len(list(last.modules()))]:
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)


@BACKBONE_REGISTRY.register()
def build_timm_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FeatureConvBackbone:
    """Builds the model `MODEL.TIMM.NAME` of timm with the feature convolution.

    Args:
        cfg: a config with FGFA's keys; `MODEL.BACKBONE.FREEZE_AT` counts levels of timm's
            `feature_info`.
        input_shape: shape of the images; its channels are read.

    Raises:
        InputError: if timm is missing or cannot make that model at stride 16.
    """
    name = cfg.MODEL.TIMM.NAME
    model = _create_model(name, cfg.MODEL.TIMM.PRETRAINED, input_shape.channels)
    if model.feature_info.reduction() != [STRIDE]:
        raise InputError(
            f"MODEL.TIMM.NAME is {name!r}, whose last features have stride "
            f"{model.feature_info.reduction()[-1]}, not 16; use a convolutional model."
        )
    return FeatureConvBackbone.from_config(cfg, TimmBackbone(model, cfg.MODEL.BACKBONE.FREEZE_AT))


def _create_model(name: str, pretrained: bool, in_channels: int) -> nn.Module:
    try:
        import timm
        from timm.layers import freeze_batch_norm_2d
    except ImportError as error:
        raise InputError(
            f"MODEL.TIMM.NAME {name!r} needs the package timm: `pip install timm`."
        ) from error
    if not timm.is_model(name):
        raise InputError(
            f"MODEL.TIMM.NAME is {name!r}, which timm {timm.__version__} does not have."
        )
    try:
        model = timm.create_model(
            name,
            pretrained=pretrained,
            in_chans=in_channels,
            features_only=True,
            output_stride=STRIDE,
            out_indices=(-1,),
        )
    # Models without dilation refuse in ways of their own: TypeError, AssertionError, RuntimeError.
    except Exception as error:
        raise InputError(
            f"timm cannot give features of MODEL.TIMM.NAME {name!r} at stride 16: {error!r}"
        ) from error
    # Unlike FrozenBatchNorm2d.convert_frozen_batchnorm, timm's keeps activations inside norms.
    return freeze_batch_norm_2d(model)
