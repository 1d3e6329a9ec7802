"""Names of the original's MXNet checkpoints: FGFA, its single-frame baseline, what both start from.

Images are RGB in both, so the first convolution stays as it is.
"""

from collections.abc import Collection, Iterator
from typing import Literal

import numpy as np

from fgfa.convert.name_table import FLOW_NET, Rule, Source, Transform, identity

BoxWeights = Literal["test", "train"]

_BODY = "backbone.body."
_RPN = "proposal_generator.rpn_head."
_CELLS = 7 * 7  # position-sensitive maps of a class or a coordinate
# TRAIN.BBOX_STDS: in training the network predicts box deltas divided by these.
_BOX_STDS = np.array([0.1, 0.1, 0.2, 0.2], np.float32)

_STAGES = {2: 3, 3: 4, 4: 23, 5: 3}  # blocks of ResNet-101
_BRANCHES = {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"}
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
_NORM |= {"moving_var": "running_var"}
_FLOW_LAYERS = {"flow_conv1": "conv1"}
_FLOW_LAYERS |= {f"Convolution{place}": f"predict_flow{7 - place}" for place in (1, 2, 3, 4, 5)}
_FLOW_LAYERS |= {
    name: name
    for name in (
        *("conv2", "conv3", "conv3_1", "conv4", "conv4_1", "conv5", "conv5_1", "conv6", "conv6_1"),
        *("deconv5", "deconv4", "deconv3", "deconv2"),
        *("upsample_flow6to5", "upsample_flow5to4", "upsample_flow4to3", "upsample_flow3to2"),
    )
}
_EMBEDDING = {"em_conv1": 0, "em_conv2": 2, "em_conv3": 4}


def sources(box_weights: BoxWeights = "test") -> tuple[Source, ...]:
    """The kinds of MXNet checkpoints that can be converted.

    A checkpoint that the original trained holds the weights that predict box deltas twice: as
    trained, for deltas divided by their standard deviations, and under `*_test`, multiplied by
    these. Its test program takes the latter or, where there are none, the former without a change.
    Ours are as trained.

    Args:
        box_weights: "test" takes the weights that the test program takes, and divides them by the
            standard deviations; "train" takes the former, which a training checkpoint has.
    """
    backbone = tuple(_backbone_rules())
    feature = _layer("feat_conv_3x3", "backbone.feat_conv")
    detector = (*backbone, *feature, *_head_rules(box_weights))
    flow = tuple(
        rule for theirs, ours in _FLOW_LAYERS.items() for rule in _layer(theirs, FLOW_NET + ours)
    )
    embedding = (
        rule
        for theirs, place in _EMBEDDING.items()
        for rule in _layer(theirs, f"embedding.{place}")
    )
    classifier = Rule(r"fc1000_(?:weight|bias)", None, note="ImageNet's classifier")
    folder = "configs/imagenet_vid/"
    fgfa = folder + "fgfa_rfcn_R_101.yaml"
    return (
        Source("mxnet", "flow network", _is_flow_net, flow, fgfa, FLOW_NET),
        Source("mxnet", "ImageNet backbone", _is_backbone, (*backbone, classifier), fgfa, _BODY),
        Source("mxnet", "single-frame R-FCN", _is_detector, detector, folder + "rfcn_R_101.yaml"),
        Source("mxnet", "FGFA", _is_fgfa, (*detector, *embedding, *flow), fgfa),
    )


def _is_flow_net(names: Collection[str]) -> bool:
    return _has(names, "flow_conv1_") and not _has(names, "conv1_", "res", "em_", "rfcn_", "rpn_")


def _is_backbone(names: Collection[str]) -> bool:
    return _has(names, "conv1_", "res") and not _has(names, "em_", "flow_", "rfcn_", "rpn_")


def _is_detector(names: Collection[str]) -> bool:
    return _has(names, "rfcn_", "rpn_") and not _has(names, "em_", "flow_")


def _is_fgfa(names: Collection[str]) -> bool:
    return _has(names, "em_", "flow_")


def _has(names: Collection[str], *prefixes: str) -> bool:
    return any(name.startswith(prefixes) for name in names)


def _layer(
    file_name: str, name: str, transform: Transform = identity, note: str = ""
) -> list[Rule]:
    """The rules of a convolution with bias."""
    return [
        Rule(f"{file_name}_{kind}", f"{name}.{kind}", transform, note)
        for kind in ("weight", "bias")
    ]


def _backbone_rules() -> Iterator[Rule]:
    yield from _frozen_convolution("conv1", "bn_conv1", f"{_BODY}stem.conv1")
    for stage, blocks in _STAGES.items():
        letters = ["a", "b", "c"] if blocks == 3 else ["a", *(f"b{i}" for i in range(1, blocks))]
        for block, letter in enumerate(letters):
            for branch, name in _BRANCHES.items():
                if branch != "1" or block == 0:
                    place = f"{stage}{letter}_branch{branch}"
                    ours = f"{_BODY}res{stage}.{block}.{name}"
                    yield from _frozen_convolution(f"res{place}", f"bn{place}", ours)


def _frozen_convolution(file_name: str, norm_name: str, name: str) -> Iterator[Rule]:
    """The rules of a convolution without bias and its batch norm."""
    yield Rule(f"{file_name}_weight", f"{name}.weight")
    for kind, ours in _NORM.items():
        yield Rule(f"{norm_name}_{kind}", f"{name}.norm.{ours}")


def _head_rules(box_weights: BoxWeights) -> Iterator[Rule]:
    yield from _layer(
        "rpn_cls_score",
        f"{_RPN}objectness_logits",
        _foreground_minus_background,
        "channels 9-17 (object) minus 0-8 (background)",
    )
    yield from _layer("rpn_bbox_pred", f"{_RPN}anchor_deltas")
    yield from _layer(
        "rfcn_cls",
        "roi_heads.score_maps",
        _background_last,
        "background, the first class, becomes the last",
    )
    deltas = "roi_heads.delta_maps"
    second_half = "the second half of the channels: boxes of objects"
    if box_weights == "train":
        yield from _layer("rfcn_bbox", deltas, _object_deltas, second_half)
        yield Rule("rfcn_bbox_(?:weight|bias)_test", None, note="follow from those of training")
        return
    note = f"{second_half}; divided by 0.1, 0.1, 0.2, 0.2"
    for kind in ("weight", "bias"):
        yield Rule(f"rfcn_bbox_{kind}_test", f"{deltas}.{kind}", _normalized_deltas, note)
        yield Rule(
            f"rfcn_bbox_{kind}",
            f"{deltas}.{kind}",
            _normalized_deltas,
            f"{note}; only where the file has no rfcn_bbox_{kind}_test",
            fallback=True,
        )


def _foreground_minus_background(array: np.ndarray) -> np.ndarray:
    background, foreground = np.split(array, 2)
    return foreground - background


def _background_last(array: np.ndarray) -> np.ndarray:
    return np.roll(array, -_CELLS, axis=0)


def _object_deltas(array: np.ndarray) -> np.ndarray:
    return np.split(array, 2)[1]


def _normalized_deltas(array: np.ndarray) -> np.ndarray:
    stds = np.repeat(_BOX_STDS, _CELLS).reshape(-1, *[1] * (array.ndim - 1))
    return _object_deltas(array) / stds
