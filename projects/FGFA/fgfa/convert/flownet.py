"""Names of FlowNet-S in PyTorch, alone in a file or as a part of mmtracking and mega.pytorch.

Where a layer that predicts or upsamples flow has no bias there, ours is zero. How the images are
normalized and where the last prediction is made are keys of MODEL.FLOW_NET (see
docs/converted_weights.md), for the weights do not tell.
"""

import re
from collections.abc import Iterator

import numpy as np

from fgfa.convert.name_table import FLOW_NET, Arrays, Rule, Source, identity

_KIND = r"\.(weight|bias)"
_FINER = re.compile(r"(.*(?:deconv|upsample|predict_flow).*)\.weight")
_NORM_KINDS = ("weight", "bias", "running_mean", "running_var")
_NORM_EPS = 1e-5  # PyTorch's default
_BGR_PAIR = [2, 1, 0, 5, 4, 3]


def pytorch_rules() -> Iterator[Rule]:
    """The rules of ClementPinard's FlowNetPytorch and NVIDIA's flownet2-pytorch (FlowNet2S)."""
    yield Rule(rf"((?:de)?conv\d(?:_1)?)\.0{_KIND}", rf"{FLOW_NET}\1.\2")
    yield Rule(r"conv\d(?:_1)?\.1\.num_batches_tracked", None, note="counts training steps")
    yield Rule(rf"(predict_flow\d){_KIND}", rf"{FLOW_NET}\1.\2")
    yield Rule(rf"upsampled_flow(\d)_to_(\d){_KIND}", rf"{FLOW_NET}upsample_flow\1to\2.\3")


def mmtracking_rules(prefix: str = "") -> Iterator[Rule]:
    """The rules of mmtracking's FlowNetSimple; `prefix` is a regular expression."""
    yield Rule(rf"{prefix}(conv\d)\.0\.conv{_KIND}", rf"{FLOW_NET}\1.\2")
    yield Rule(rf"{prefix}(conv\d)\.1\.conv{_KIND}", rf"{FLOW_NET}\1_1.\2")
    yield Rule(rf"{prefix}(deconv\d|predict_flow\d)\.conv{_KIND}", rf"{FLOW_NET}\1.\2")
    yield Rule(rf"{prefix}predict_flow\.conv{_KIND}", rf"{FLOW_NET}predict_flow2.\1")
    for level in (2, 3, 4, 5):
        ours = f"{FLOW_NET}upsample_flow{level + 1}to{level}"
        yield Rule(rf"{prefix}upsample_flow{level}\.conv{_KIND}", rf"{ours}.\1")


def mega_rules(prefix: str = "", *, bgr: bool = False) -> Iterator[Rule]:
    """The rules of mega.pytorch's FlowNetS, whose layers are named as in MXNet.

    Args:
        prefix: regular expression of what stands before the names.
        bgr: whether the network was trained on BGR images.
    """
    flip, note = (_flip_pair, "input channels BGR -> RGB") if bgr else (identity, "")
    yield Rule(rf"{prefix}flow_conv1\.weight", f"{FLOW_NET}conv1.weight", flip, note)
    yield Rule(rf"{prefix}flow_conv1\.bias", f"{FLOW_NET}conv1.bias")
    same = r"conv\d(?:_1)?|deconv\d|upsample_flow\dto\d"
    yield Rule(rf"{prefix}({same}){_KIND}", rf"{FLOW_NET}\1.\2")
    for place in range(1, 6):
        ours = f"{FLOW_NET}predict_flow{7 - place}"
        yield Rule(rf"{prefix}Convolution{place}{_KIND}", rf"{ours}.\1")


def add_zero_biases(arrays: Arrays) -> Arrays:
    """Gives layers that predict or upsample flow a bias of zero where they have none."""
    biases = {}
    for name, weight in arrays.items():
        if match := _FINER.fullmatch(name):
            out_axis = 0 if "predict_flow" in name else 1  # transposed kernels have outputs second
            biases[f"{match[1]}.bias"] = np.zeros(weight.shape[out_axis : out_axis + 1], np.float32)
    return biases | dict(arrays)


def fold_batch_norms(arrays: Arrays) -> Arrays:
    """Makes one convolution with bias of each that FlowNetPytorch follows with a batch norm.

    What is not such a pair stays, and is then reported as not known.
    """
    folded = dict(arrays)
    for name in arrays:
        layer, is_norm, _ = name.partition(".1.running_var")
        names = [f"{layer}.0.weight", *(f"{layer}.1.{kind}" for kind in _NORM_KINDS)]
        if not is_norm or f"{layer}.0.bias" in arrays or not all(n in arrays for n in names):
            continue
        weight, *norm = (arrays[n] for n in names)
        if any(array.shape != weight.shape[:1] for array in norm):
            continue
        for n in names:
            del folded[n]
        gamma, beta, mean, variance = norm
        scale = gamma / np.sqrt(variance + _NORM_EPS)
        folded[f"{layer}.0.weight"] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        folded[f"{layer}.0.bias"] = beta - mean * scale
    return folded


def _flip_pair(array: np.ndarray) -> np.ndarray:
    return array[:, _BGR_PAIR]


_CONFIG = "configs/imagenet_vid/fgfa_rfcn_R_101.yaml"
SOURCES = (
    Source(
        "flownet",
        "FlowNetS of FlowNetPytorch or flownet2-pytorch",
        lambda names: "conv1.0.weight" in names,
        tuple(pytorch_rules()),
        _CONFIG,
        FLOW_NET,
        lambda arrays: add_zero_biases(fold_batch_norms(arrays)),
    ),
    Source(
        "flownet",
        "FlowNetSimple of mmtracking",
        lambda names: "conv1.0.conv.weight" in names,
        tuple(mmtracking_rules()),
        _CONFIG,
        FLOW_NET,
        add_zero_biases,
    ),
    Source(
        "flownet",
        "flow network that mega.pytorch starts from",
        lambda names: "flow_conv1.weight" in names,
        tuple(mega_rules()),
        _CONFIG,
        FLOW_NET,
    ),
)
