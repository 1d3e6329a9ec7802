"""The dilated ResNet of the paper."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.layers import FrozenBatchNorm2d, ShapeSpec
from detectron2.modeling import build_backbone
from detectron2.modeling.backbone import build_resnet_backbone

import fgfa.modeling  # noqa: F401  registers the builder
from fgfa.config import add_fgfa_config

Goldens = Callable[[str], Mapping[str, np.ndarray]]


@pytest.fixture
def cfg() -> CfgNode:
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.MODEL.BACKBONE.NAME = "build_dilated_resnet_backbone"
    cfg.MODEL.FEATURE_CONV.OUT_CHANNELS = 8
    # A narrow ResNet-50: the layout is the same, the test is quick.
    cfg.MODEL.RESNETS.WIDTH_PER_GROUP = 4
    cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = 8
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 16
    return cfg


@pytest.mark.parametrize(("height", "width"), [(120, 213), (37, 41), (64, 96)])
def test_sizes_are_rounded_up(cfg: CfgNode, height: int, width: int):
    backbone = build_backbone(cfg)
    feat = backbone(torch.rand(1, 3, height, width))["feat"]
    assert feat.shape == (1, 8, -(-height // 16), -(-width // 16))
    assert backbone.output_shape() == {"feat": ShapeSpec(channels=8, stride=16)}


def test_interleaved_cells_are_those_of_the_network_of_stride_32(cfg: CfgNode):
    cfg.MODEL.RESNETS.OUT_FEATURES = ["res5"]
    cfg.MODEL.RESNETS.BN_EPS = 1e-5  # that of build_resnet_backbone
    plain = build_resnet_backbone(cfg, ShapeSpec(channels=3))
    dilated = build_backbone(cfg).body
    dilated.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 128, 160)
    torch.testing.assert_close(dilated(image)["res5"][:, :, ::2, ::2], plain(image)["res5"])


def test_batch_norms_are_frozen_with_the_epsilon_of_the_config(cfg: CfgNode):
    cfg.MODEL.RESNETS.BN_EPS = 3e-4
    backbone = build_backbone(cfg)
    norms = [module for module in backbone.modules() if hasattr(module, "running_var")]
    assert all(isinstance(norm, FrozenBatchNorm2d) for norm in norms)
    assert len(norms) == 53
    assert {norm.eps for norm in norms} == {3e-4}


def test_batch_norm_is_that_of_the_original(cfg: CfgNode, golden: Goldens):
    cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = 3
    norm = build_backbone(cfg).body.stem.conv1.norm
    names = ("x", "gamma", "beta", "mean", "var", "out")
    x, *parameters, expected = (torch.from_numpy(golden("ops")[f"bn_{name}"]) for name in names)
    keys = ("weight", "bias", "running_mean", "running_var")
    norm.load_state_dict(dict(zip(keys, parameters, strict=True)))
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["odd", "even", "mix"])
def test_pooling_is_that_of_the_original(cfg: CfgNode, case: str, golden: Goldens):
    stem = build_backbone(cfg).body.stem
    stem.conv1 = torch.nn.Identity()
    x, expected = (
        torch.from_numpy(golden("ops")[f"{name}_{case}_{end}"])
        for name, end in (("avgfull", "in"), ("pool1", "out"))
    )
    # The stem cuts off negative values before it pools; the golden was pooled alone.
    assert torch.equal(stem(x), expected.relu())


@pytest.mark.parametrize("in_1x1", [True, False])
def test_stride_stands_where_the_config_says(cfg: CfgNode, in_1x1: bool):
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = in_1x1
    block = build_backbone(cfg).body.res3[0]
    assert block.conv1.stride == ((2, 2) if in_1x1 else (1, 1))
    assert block.conv2.stride == ((1, 1) if in_1x1 else (2, 2))


def test_stages_up_to_freeze_at_are_not_trained(cfg: CfgNode):
    cfg.MODEL.BACKBONE.FREEZE_AT = 2
    body = build_backbone(cfg).body
    trained = {name.split(".")[0] for name, p in body.named_parameters() if p.requires_grad}
    assert trained == {"res3", "res4", "res5"}
