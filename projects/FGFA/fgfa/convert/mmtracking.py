"""Names of mmtracking's FGFA: Faster R-CNN on a dilated ResNet and a 3x3 convolution, "DC5"."""

from collections.abc import Collection, Iterator

import numpy as np

from fgfa.convert.flownet import add_zero_biases, mmtracking_rules
from fgfa.convert.name_table import Rule, Source
from fgfa.convert.torchvision_resnet import stage_rules, stem_rules

_RATIOS, _SIZES = 3, 4
_RPN = "proposal_generator.rpn_head"
_HEAD = "roi_heads.box_"
_LAYERS = {
    r"detector\.neck\.convs\.0\.conv": "backbone.feat_conv",
    r"aggregator\.embed_convs\.0\.conv": "embedding.0",
    r"detector\.rpn_head\.rpn_conv": f"{_RPN}.conv",
    r"detector\.roi_head\.bbox_head\.shared_fcs\.0": f"{_HEAD}head.fc1",
    r"detector\.roi_head\.bbox_head\.shared_fcs\.1": f"{_HEAD}head.fc2",
    r"detector\.roi_head\.bbox_head\.fc_cls": f"{_HEAD}predictor.cls_score",
    r"detector\.roi_head\.bbox_head\.fc_reg": f"{_HEAD}predictor.bbox_pred",
}


def rules() -> Iterator[Rule]:
    """The table of names of `fgfa_faster_rcnn_*_dc5_*_imagenetvid`, ResNet of any depth."""
    yield from stem_rules(r"detector\.backbone\.", "backbone.body.")
    for stage in (1, 2, 3, 4):
        yield from stage_rules(
            rf"detector\.backbone\.layer{stage}", f"backbone.body.res{stage + 1}"
        )
    for file_name, name in _LAYERS.items():
        yield Rule(rf"{file_name}\.(weight|bias)", rf"{name}.\1")
    for file_name, name in {"rpn_cls": "objectness_logits", "rpn_reg": "anchor_deltas"}.items():
        yield Rule(
            rf"detector\.rpn_head\.{file_name}\.(weight|bias)",
            rf"{_RPN}.{name}.\1",
            _by_size_first,
            "anchors by ratio, then size -> by size, then ratio",
        )
    yield from mmtracking_rules(r"motion\.")


def _by_size_first(array: np.ndarray) -> np.ndarray:
    """Reorders output channels, one or four for each anchor of a cell."""
    by_ratio = array.reshape(_RATIOS, _SIZES, -1, *array.shape[1:])
    return by_ratio.swapaxes(0, 1).reshape(array.shape)


def _is_fgfa(names: Collection[str]) -> bool:
    return "aggregator.embed_convs.0.conv.weight" in names


def _is_deep(names: Collection[str]) -> bool:
    return _is_fgfa(names) and "detector.backbone.layer3.22.conv1.weight" in names


SOURCES = tuple(
    Source(
        "mmtracking",
        f"FGFA with Faster R-CNN, ResNet-{depth}",
        matches,
        tuple(rules()),
        f"configs/imagenet_vid/fgfa_faster_rcnn_R_{depth}_mmtracking.yaml",
        prepare=add_zero_biases,
    )
    for depth, matches in ((101, _is_deep), (50, _is_fgfa))
)
