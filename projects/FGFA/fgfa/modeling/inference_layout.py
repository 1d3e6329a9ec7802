"""A trained model in the form in which it runs fastest: same results, fewer operations."""

import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .fgfa import FGFA
from .packed_convolution import pack


def prepare_for_inference(model: nn.Module) -> nn.Module:
    """Folds batch norms into the convolutions before them, and lays out weights for speed.

    Results change by rounding only. The model can be neither trained, saved nor copied afterwards,
    nor moved to another device, nor take a checkpoint of its former self.

    Args:
        model: any model of Detectron2's layers, with its weights; it is changed.

    Returns:
        The model, in evaluation mode and without gradients.
    """
    model.eval().requires_grad_(False)
    for name, part in model.named_children():
        precision = _precision(model, name)
        for module in part.modules():
            _fold(module)
            pack(module, precision)
    return model.to(memory_format=torch.channels_last)


def _precision(model: nn.Module, part: str) -> torch.dtype:
    """In which a part of a model runs at test time."""
    if isinstance(model, FGFA) and part in FGFA.PARTS_IN_TEST_PRECISION:
        return getattr(torch, model.test_precision)
    return torch.float32


def _fold(module: nn.Module) -> None:
    norm = getattr(module, "norm", None)
    if not isinstance(module, Conv2d) or not isinstance(norm, FrozenBatchNorm2d | nn.BatchNorm2d):
        return
    module.weight, module.bias = fuse_conv_bn_weights(
        module.weight,
        module.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    module.norm = None
