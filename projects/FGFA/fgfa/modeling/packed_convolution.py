"""Convolutions for inference on a CPU, with weights in the order in which oneDNN reads them."""

import torch
from detectron2.layers import Conv2d
from torch import nn

Convolution = nn.Conv2d | nn.ConvTranspose2d

# Subclasses may use their weights in other ways.
_PACKED = (nn.Conv2d, Conv2d, nn.ConvTranspose2d)
# Name, numbers and algorithm of what oneDNN does behind a convolution.
_NOT_FUSED = ("none", [], "")


class PackedConvolution:
    """What a convolution of a trained model computes, transposed or not.

    PyTorch lays weights out in blocks for oneDNN at every call, which can take longer than the
    convolution of a small map. Here it is done once for all maps of a size, since the best blocks
    depend on it, and a ReLU behind the convolution is computed with it, by the operators that
    torch.compile uses. Results change by rounding only.
    """

    def __init__(self, conv: Convolution, dtype: torch.dtype) -> None:
        """
        Args:
            conv: see `can_be_packed`.
            dtype: torch.float32 or torch.bfloat16, in which it is computed and given out.
        """
        self._weight = conv.weight.detach().to(dtype)
        self._bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self._size: torch.Size | None = None  # height and width for which weights are laid out
        operators = torch.ops.mkldnn
        geometry = [list(conv.padding), list(conv.stride), list(conv.dilation)]
        self._is_transposed = isinstance(conv, nn.ConvTranspose2d)
        if self._is_transposed:
            geometry.insert(1, list(conv.output_padding))
            self._reorder = operators._reorder_convolution_transpose_weight
            self._operator = operators._convolution_transpose_pointwise
        else:
            self._reorder = operators._reorder_convolution_weight
            self._operator = operators._convolution_pointwise
        self._geometry = (*geometry, conv.groups)
        activation = getattr(conv, "activation", None)
        self._fused = _fused(activation)
        self._activation = activation if self._fused == _NOT_FUSED else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, C_in, H, W) to (N, C_out, H', W'), channels-last, in the type of an autocast."""
        x = x.to(self._precision())
        bias = None if self._bias is None else self._bias.to(x.dtype)
        x = self._operator(x, self._weight_for(x), bias, *self._geometry, *self._fused)
        return x if self._activation is None else self._activation(x)

    def dense_weight(self) -> torch.Tensor:
        """The weight as the convolution had it, in the type in which it is packed."""
        if not self._weight.is_mkldnn:
            return self._weight
        weight = self._weight.to_dense()
        # oneDNN has (C_out, C_in, h, w) for both kinds, PyTorch (C_in, C_out, h, w) for transposed.
        return weight.transpose(0, 1).contiguous() if self._is_transposed else weight

    def _precision(self) -> torch.dtype:
        is_cast = torch.is_autocast_enabled("cpu")
        is_half = is_cast and torch.get_autocast_dtype("cpu") == torch.bfloat16
        return torch.bfloat16 if is_half and _has_bfloat16() else self._weight.dtype

    def _weight_for(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype != self._weight.dtype:  # in an autocast of the caller's, as slow as without us
            return self._reorder(self.dense_weight().to(x.dtype), *self._geometry)
        if x.shape[2:] != self._size and len(x):
            self._weight = self._reorder(self.dense_weight(), *self._geometry, list(x.shape))
            self._size = x.shape[2:]
        return self._weight


def pack(module: nn.Module, dtype: torch.dtype) -> None:
    """Packs a module of a trained model if it is a convolution that can be packed.

    Args:
        module: is changed, and drops its weight; it can be neither trained, saved nor copied then.
        dtype: torch.float32 or torch.bfloat16, in which it runs.
    """
    if can_be_packed(module, dtype):
        # It stays where it is: a model may hold it in lists of its own, as FPN does.
        module.forward = PackedConvolution(module, dtype)
        module.weight = None


def unpack_convolutions(model: nn.Module) -> None:
    """Makes packed convolutions what they were, but for a precision that they lost."""
    for module in model.modules():
        if isinstance(module.forward, PackedConvolution):
            weight = module.forward.dense_weight()
            module.weight = nn.Parameter(weight.float(), requires_grad=False)
            del module.forward


def can_be_packed(module: nn.Module, dtype: torch.dtype) -> bool:
    """Whether a module is a convolution that `PackedConvolution` can stand for on this machine."""
    return (
        type(module) in _PACKED
        and getattr(module, "norm", None) is None
        # oneDNN has not all of these.
        and not (module.transposed and (module.groups > 1 or any(module.output_padding)))
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and module.weight.device.type == "cpu"
        and module.weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and (dtype == torch.float32 or _has_bfloat16())
    )


def _has_bfloat16() -> bool:
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _fused(activation: object) -> tuple[str, list[float], str]:
    if isinstance(activation, nn.LeakyReLU):
        return "leaky_relu", [activation.negative_slope], ""
    if isinstance(activation, nn.ReLU) or activation in (torch.relu_, nn.functional.relu):
        return "relu", [], ""
    return _NOT_FUSED
