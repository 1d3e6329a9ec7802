"""RoI heads behind a res5 that runs over the whole map."""

from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import build_roi_heads
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.utils.events import EventStorage
from torch.nn import functional as F

from fgfa import load_config
from fgfa.modeling import Res5MapROIHeads

CONFIG = Path(__file__).parents[2] / "configs/imagenet_vid/fgfa_faster_rcnn_R_50_mega.yaml"
SIZE = (64, 96)
IMAGES = ImageList(torch.zeros(1, 3, *SIZE), [SIZE])
SMALL = ["MODEL.RESNETS.RES2_OUT_CHANNELS", 8, "MODEL.RESNETS.WIDTH_PER_GROUP", 2]
SMALL += ["MODEL.ROI_BOX_HEAD.FC_DIM", 16, "MODEL.RES5_HEAD.REDUCED_CHANNELS", 6]


@pytest.fixture
def cfg() -> CfgNode:
    return load_config(str(CONFIG), SMALL)


def make_heads(cfg: CfgNode) -> Res5MapROIHeads:
    torch.manual_seed(0)
    heads = build_roi_heads(cfg, {"res4": ShapeSpec(channels=32, stride=16)})
    assert isinstance(heads, Res5MapROIHeads)
    return heads


def make_proposals() -> list[Instances]:
    boxes = Boxes(torch.tensor([[0.0, 0, 40, 40], [16, 8, 90, 60]]))
    return [Instances(SIZE, proposal_boxes=boxes, objectness_logits=torch.ones(2))]


def pooled_maps(heads: Res5MapROIHeads, feature: torch.Tensor) -> torch.Tensor:
    seen = []
    hook = heads.box_pooler.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0]))
    heads.eval()(IMAGES, {"res4": feature}, make_proposals())
    hook.remove()
    return seen[0]


def test_rois_are_pooled_from_the_reduced_res5(cfg: CfgNode):
    heads = make_heads(cfg)
    feature = torch.randn(1, 32, 4, 6)
    expected = F.conv2d(heads.res5(feature), heads.reduction.weight, heads.reduction.bias).relu()
    torch.testing.assert_close(pooled_maps(heads, feature), expected)
    assert heads.box_head.fc1.in_features == 6 * 7 * 7


def test_without_reduction(cfg: CfgNode):
    cfg.MODEL.RES5_HEAD.REDUCED_CHANNELS = 0
    heads = make_heads(cfg)
    feature = torch.randn(1, 32, 4, 6)
    torch.testing.assert_close(pooled_maps(heads, feature), heads.res5(feature))
    assert heads.box_head.fc1.in_features == 64 * 7 * 7
    assert not [name for name in heads.state_dict() if name.startswith("reduction")]


def test_res5_is_dilated_and_keeps_the_size(cfg: CfgNode):
    heads = make_heads(cfg)
    assert [block.conv2.dilation for block in heads.res5] == [(2, 2)] * 3
    assert heads.res5(torch.randn(1, 32, 4, 6)).shape == (1, 64, 4, 6)


def test_training_reaches_res5_and_the_reduction(cfg: CfgNode):
    heads = make_heads(cfg)
    targets = Instances(SIZE, gt_boxes=Boxes(torch.tensor([[16.0, 8, 88, 60]])))
    targets.gt_classes = torch.tensor([3])
    feature = torch.randn(1, 32, 4, 6)
    with EventStorage():
        _, losses = heads.train()(IMAGES, {"res4": feature}, make_proposals(), [targets])
    sum(losses.values()).backward()
    for weight in (heads.res5[0].conv1.weight, heads.reduction.weight):
        assert weight.grad.abs().sum() > 0
