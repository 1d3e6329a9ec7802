import copy

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from detectron2.modeling import build_model
from torch import nn

from fgfa.modeling.inference_layout import prepare_for_inference


def with_statistics(norm: nn.Module) -> nn.Module:
    """A norm of 8 channels that does something to each of them."""
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name).data.uniform_(0.5, 2)
    return norm


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("norm_class", [FrozenBatchNorm2d, nn.BatchNorm2d])
def test_folded_norms_give_the_same(norm_class: type[nn.Module], bias: bool):
    norm = with_statistics(norm_class(8, eps=1e-3))
    model = nn.Sequential(
        Conv2d(3, 8, 3, padding=1, bias=bias, norm=norm, activation=nn.functional.relu_),
        Conv2d(8, 4, 1),
        nn.BatchNorm2d(4),
    )
    x = torch.randn(2, 3, 7, 9)
    expected = model.eval()(x)
    prepared = prepare_for_inference(model.train())
    torch.testing.assert_close(prepared(x), expected, atol=1e-5, rtol=1e-5)
    assert prepared[0].norm is None
    assert isinstance(prepared[2], nn.BatchNorm2d)


def test_a_prepared_model_is_channels_last_and_learns_nothing():
    other = Conv2d(3, 8, 3, norm=FrozenBatchNorm2d(8), padding_mode="reflect")  # is not packed
    model = prepare_for_inference(nn.Sequential(other))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_prepared_fgfa_gives_the_same(precision: str, tiny_cfg: CfgNode):
    if precision == "bfloat16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU has no bfloat16 for oneDNN")
    tiny_cfg.MODEL.FGFA.TEST_PRECISION = precision
    model = build_model(tiny_cfg).eval()
    prepared = prepare_for_inference(copy.deepcopy(model))
    frames = [torch.randint(256, (3, 64, 96)) for _ in range(3)]
    expected, given = (m.start_video() for m in (model, prepared))
    for frame in frames:
        expected.add(frame)
        given.add(frame)
    numbers = expected.window.move_to(1)
    assert given.window.move_to(1) == numbers
    for name in ("feature", "embedding", "flow_neighbor"):
        result = given.window.maps(name, numbers)
        same = expected.window.maps(name, numbers)
        assert result.dtype == same.dtype
        error = (result - same).abs().max() / same.abs().max()
        assert error < (1e-5 if precision == "float32" else 0.03)
    assert prepared.backbone.feat_conv.weight is None
    assert prepared.flow_net.conv1.weight is not None  # whose weight is taken apart


def test_norms_of_other_kinds_stay():
    model = prepare_for_inference(Conv2d(3, 8, 3, norm=nn.GroupNorm(2, 8)))
    assert isinstance(model.norm, nn.GroupNorm)
