"""Backbones of timm."""

import sys

import pytest
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_backbone

import fgfa.modeling  # noqa: F401  registers the builder
from fgfa.config import add_fgfa_config
from fgfa.errors import InputError


@pytest.fixture
def cfg() -> CfgNode:
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.MODEL.BACKBONE.NAME = "build_timm_backbone"
    cfg.MODEL.FEATURE_CONV.OUT_CHANNELS = 8
    return cfg


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "convnext_atto"])
@pytest.mark.parametrize(("height", "width"), [(120, 213), (37, 41), (64, 96)])
def test_sizes_are_rounded_up(cfg: CfgNode, name: str, height: int, width: int):
    pytest.importorskip("timm")
    cfg.MODEL.TIMM.NAME = name
    backbone = build_backbone(cfg)
    feat = backbone(torch.rand(1, 3, height, width))["feat"]
    assert feat.shape == (1, 8, -(-height // 16), -(-width // 16))
    assert backbone.output_shape() == {"feat": ShapeSpec(channels=8, stride=16)}


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050"])
def test_frozen_norms_keep_the_values_of_the_model(cfg: CfgNode, name: str):
    timm = pytest.importorskip("timm")
    cfg.MODEL.TIMM.NAME = name
    body = build_backbone(cfg).body
    model = timm.create_model(name, features_only=True, output_stride=16, out_indices=(-1,)).eval()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    body.model.load_state_dict(model.state_dict(), strict=False)
    body.train()
    image = torch.rand(2, 3, 64, 80)
    torch.testing.assert_close(body(image)["last"], model(image)[0])


@pytest.mark.parametrize(
    ("freeze_at", "frozen"), [(0, set()), (1, {"conv1", "bn1"}), (2, {"conv1", "bn1", "layer1"})]
)
def test_levels_up_to_freeze_at_are_not_trained(cfg: CfgNode, freeze_at: int, frozen: set[str]):
    pytest.importorskip("timm")
    cfg.MODEL.TIMM.NAME = "resnet18"
    cfg.MODEL.BACKBONE.FREEZE_AT = freeze_at
    model = build_backbone(cfg).body.model
    untrained = {n.split(".")[0] for n, p in model.named_parameters() if not p.requires_grad}
    assert untrained == frozen - {"bn1"}  # frozen norms hold buffers only


@pytest.mark.parametrize("name", ["no_such_model", "vgg11", "vit_tiny_patch16_224"])
def test_unusable_model_is_one_sentence(cfg: CfgNode, name: str):
    pytest.importorskip("timm")
    cfg.MODEL.TIMM.NAME = name
    with pytest.raises(InputError, match=name):
        build_backbone(cfg)


def test_missing_package_is_one_sentence(cfg: CfgNode, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="pip install timm"):
        build_backbone(cfg)
