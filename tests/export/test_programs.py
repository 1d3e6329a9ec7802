"""The exported programs, run over a video, against `VideoDetector`."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import Instances
from torch import nn

from fgfa.errors import InputError
from fgfa.export import ExportPlan, detect, export_programs, kept_of, to_input
from fgfa.modeling import FGFA
from fgfa.modeling.postprocess import to_frame_pixels

SIZE = (54, 81)
NONE = ["MODEL.ROI_HEADS.SCORE_THRESH_TEST", 1.0]  # no detection at all
LEGACY = [
    *("MODEL.PROPOSAL_GENERATOR.NAME", "LegacyRPN", "INPUT.RESIZE_BY_FACTOR", True),
    *("MODEL.ANCHOR_GENERATOR.NAME", "LegacyAnchorGenerator"),
    *("MODEL.ROI_HEADS.NAME", "LegacyRFCNROIHeads"),
]
FASTER_RCNN = [
    *("MODEL.RPN.HEAD_NAME", "StandardRPNHead", "MODEL.ROI_HEADS.NAME", "StandardROIHeads"),
    *("MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead", "MODEL.ROI_BOX_HEAD.NUM_FC", 1),
    *("MODEL.ROI_BOX_HEAD.FC_DIM", 16, "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 3),
    *("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", False),
]
RES5_MAP = [
    *(*FASTER_RCNN, "MODEL.ROI_HEADS.NAME", "Res5MapROIHeads"),
    *("MODEL.RESNETS.RES2_OUT_CHANNELS", 8, "MODEL.RESNETS.WIDTH_PER_GROUP", 2),
    *("MODEL.RES5_HEAD.REDUCED_CHANNELS", 8),
]


@pytest.fixture
def cfg(tiny_cfg: CfgNode) -> CfgNode:
    tiny_cfg.merge_from_list(["INPUT.MIN_SIZE_TEST", 64, "MODEL.FGFA.TEST_RADIUS", 1])
    return tiny_cfg


def make_model(cfg: CfgNode) -> FGFA:
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    # A new FlowNetS predicts no motion; this one predicts about a cell.
    nn.init.normal_(model.flow_net.predict_flow2.weight, std=0.5)
    nn.init.constant_(model.flow_net.predict_flow2.bias, 0.2)
    return model


def make_frames(count: int) -> list[np.ndarray]:
    coarse = np.random.default_rng(0).integers(0, 256, (count, 6, 9, 3), dtype=np.uint8)
    return list(coarse.repeat(9, axis=1).repeat(9, axis=2))


def detect_by_model(
    model: FGFA, plan: ExportPlan, images: Sequence[torch.Tensor]
) -> list[Instances]:
    video = model.start_video(plan.resized_by_factor)
    for image in images:
        video.add(image)
    return [
        to_frame_pixels(*video.detect([key]), *plan.frame_size, plan.resized_by_factor)
        for key in range(len(images))
    ]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["MODEL.FGFA.WARP_PADDING", "border", "INPUT.FORMAT", "BGR"],
        ["MODEL.FGFA.CAUSAL", True],
        ["MODEL.FGFA.TEST_STRIDE", 2],
        NONE,
        LEGACY,
        [*LEGACY, *NONE],
        FASTER_RCNN,
        RES5_MAP,
    ],
    ids=["", "BGR", "causal", "strided", "none", "legacy", "legacy-none", "faster", "res5"],
)
def test_programs_detect_what_the_model_detects(cfg: CfgNode, options: list) -> None:
    cfg.merge_from_list(options)
    model, plan = make_model(cfg), ExportPlan.from_config(cfg, SIZE)
    programs = [program.module() for program in export_programs(model, plan)]
    images = [to_input(frame, cfg) for frame in make_frames(4)]
    results = list(detect(*programs, plan, images))
    expected = detect_by_model(model, plan, images)
    assert len(results) == len(expected) == 4
    for image, (kept, found), instances in zip(images, results, expected, strict=True):
        for tensor, wanted in zip(kept, kept_of(model, image), strict=True):
            torch.testing.assert_close(tensor, wanted)
        assert (len(instances) == 0) == (NONE[0] in options)
        torch.testing.assert_close(found[0], instances.pred_boxes.tensor, atol=1e-3, rtol=0)
        torch.testing.assert_close(found[1], instances.scores)
        assert torch.equal(found[2], instances.pred_classes)


def test_a_program_holds_no_weights_that_it_does_not_use(cfg: CfgNode) -> None:
    frame, window = export_programs(make_model(cfg), ExportPlan.from_config(cfg, SIZE))
    assert {name.split(".")[1] for name in frame.state_dict} == {
        *("backbone", "embedding", "flow_net")
    }
    flow_parts = {name.split(".")[2] for name in frame.state_dict if ".flow_net." in name}
    assert flow_parts == {"conv1"}
    parts = {".".join(name.split(".")[:2]) for name in window.state_dict}
    assert parts == {"model.flow_net", "propose.rpn", "detect.heads"}
    assert frame.example_inputs is None
    assert window.example_inputs is None


class OtherRPN(nn.Module):
    pass


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("proposal_generator", "MODEL.PROPOSAL_GENERATOR.NAME OtherRPN cannot be exported"),
        ("roi_heads", "MODEL.ROI_HEADS.NAME OtherRPN cannot be exported"),
    ],
)
def test_parts_that_are_not_known_are_refused(cfg: CfgNode, part: str, sentence: str) -> None:
    model = make_model(cfg)
    setattr(model, part, OtherRPN())
    with pytest.raises(InputError, match=sentence):
        export_programs(model, ExportPlan.from_config(cfg, SIZE))


def test_heads_with_sigmoid_scores_are_refused(cfg: CfgNode) -> None:
    cfg.merge_from_list([*FASTER_RCNN, "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE", True])
    with pytest.raises(InputError, match="USE_SIGMOID_CE cannot be exported"):
        export_programs(make_model(cfg), ExportPlan.from_config(cfg, SIZE))


class DataDependent(nn.Module):
    """An embedding that Python branches on."""

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        return feature * 2 if feature.sum() > 0 else feature


def test_what_torch_cannot_export_is_named(cfg: CfgNode) -> None:
    model = make_model(cfg)
    model.embedding = DataDependent()
    with pytest.raises(InputError, match=r"DataDependent cannot be exported by torch\.export: "):
        export_programs(model, ExportPlan.from_config(cfg, SIZE))


@pytest.mark.parametrize(
    ("key", "value"),
    [("FLOW_MODE", "composed"), ("FLOW_MODE", "zero_key"), ("TEST_PRECISION", "bfloat16")],
)
def test_what_programs_do_not_do_is_refused(cfg: CfgNode, key: str, value: str) -> None:
    cfg.MODEL.FGFA[key] = value
    with pytest.raises(InputError, match=rf"MODEL\.FGFA\.{key} {value} cannot be exported; set it"):
        ExportPlan.from_config(cfg, SIZE)


def test_flow_by_opencv_is_refused(cfg: CfgNode) -> None:
    cfg.MODEL.FLOW_NET.NAME = "DIS"
    with pytest.raises(InputError, match="NAME DIS cannot be exported"):
        ExportPlan.from_config(cfg, SIZE)
