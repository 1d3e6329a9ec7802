"""Names of mega.pytorch's FGFA: res4 is aggregated, res5 and Faster R-CNN's head come behind."""

from collections.abc import Collection, Iterator

import numpy as np

from fgfa.convert.flownet import mega_rules
from fgfa.convert.name_table import Rule, Source, Transform, identity
from fgfa.convert.torchvision_resnet import stage_rules, stem_rules

_BOX = r"roi_heads\.box\."
_EXTRACTOR = rf"{_BOX}feature_extractor\."
_RPN = "proposal_generator.rpn_head"
_HEAD = "roi_heads.box_"
_LAYERS = {
    r"embednet\.embed_conv1": "embedding.0",
    r"embednet\.embed_conv2": "embedding.2",
    r"embednet\.embed_conv3": "embedding.4",
    r"rpn\.head\.conv": f"{_RPN}.conv",
    r"rpn\.head\.cls_logits": f"{_RPN}.objectness_logits",
    r"rpn\.head\.bbox_pred": f"{_RPN}.anchor_deltas",
    rf"{_EXTRACTOR}conv": "roi_heads.reduction",
    rf"{_EXTRACTOR}fc6": f"{_HEAD}head.fc1",
    rf"{_EXTRACTOR}fc7": f"{_HEAD}head.fc2",
}
_NORM_EPS = 1e-5  # of Detectron2's FrozenBatchNorm2d


def rules() -> Iterator[Rule]:
    """The table of names of `vid_R_*_C4_FGFA_1x`, ResNet of any depth."""
    norm = (_without_epsilon, "minus 1e-5, which Detectron2 adds and mega.pytorch does not")
    yield from stem_rules(r"backbone\.body\.stem\.", "backbone.", *norm)
    for stage in (1, 2, 3):
        yield from stage_rules(rf"backbone\.body\.layer{stage}", f"backbone.res{stage + 1}", *norm)
    yield from stage_rules(rf"{_EXTRACTOR}head\.layer4", "roi_heads.res5", *norm)
    for file_name, name in _LAYERS.items():
        yield from _layer(file_name, name)
    yield from _layer(
        rf"{_BOX}predictor\.cls_score",
        f"{_HEAD}predictor.cls_score",
        _background_last,
        "background, the first class, becomes the last",
    )
    yield from _layer(
        rf"{_BOX}predictor\.bbox_pred",
        f"{_HEAD}predictor.bbox_pred",
        _without_background,
        "without the boxes of background, the first class",
    )
    yield Rule(r"rpn\.anchor_generator\.cell_anchors\.\d+", None, note="follow from the config")
    yield from mega_rules(r"flownet\.", bgr=True)


def _layer(
    file_name: str, name: str, transform: Transform = identity, note: str = ""
) -> Iterator[Rule]:
    yield Rule(rf"{file_name}\.(weight|bias)", rf"{name}.\1", transform, note)


def _without_epsilon(variance: np.ndarray) -> np.ndarray:
    return variance - np.float32(_NORM_EPS)


def _background_last(array: np.ndarray) -> np.ndarray:
    return np.roll(array, -1, axis=0)


def _without_background(array: np.ndarray) -> np.ndarray:
    return array[4:]


def _is_fgfa(names: Collection[str]) -> bool:
    return "embednet.embed_conv1.weight" in names


def _is_deep(names: Collection[str]) -> bool:
    return _is_fgfa(names) and "backbone.body.layer3.22.conv1.weight" in names


SOURCES = tuple(
    Source(
        "mega",
        f"FGFA, ResNet-{depth}",
        matches,
        tuple(rules()),
        f"configs/imagenet_vid/fgfa_faster_rcnn_R_{depth}_mega.yaml",
    )
    for depth, matches in ((101, _is_deep), (50, _is_fgfa))
)
