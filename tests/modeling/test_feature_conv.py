"""The feature convolution behind a backbone."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.backbone import Backbone

from fgfa.modeling.backbone import FeatureConvBackbone


class Pooling(Backbone):
    def __init__(self, stride: int = 16) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"pooled": torch.nn.functional.avg_pool2d(image, self.stride)}

    def output_shape(self) -> dict[str, ShapeSpec]:
        return {"pooled": ShapeSpec(channels=3, stride=self.stride)}


def test_one_cell_reaches_the_eight_cells_at_the_dilation():
    backbone = FeatureConvBackbone(Pooling(), out_channels=1, dilation=2)
    torch.nn.init.ones_(backbone.feat_conv.weight)
    image = torch.zeros(1, 3, 7 * 16, 7 * 16)
    image[:, 0, 48:64, 48:64] = 1
    feat = backbone(image)["feat"][0, 0]
    expected = torch.zeros(7, 7)
    expected[1::2, 1::2] = 1
    torch.testing.assert_close(feat, expected)


def test_output_is_rectified():
    backbone = FeatureConvBackbone(Pooling(), out_channels=4, dilation=1)
    torch.nn.init.constant_(backbone.feat_conv.bias, -1e3)
    assert not backbone(torch.rand(1, 3, 32, 32))["feat"].any()


def test_output_shape_is_what_forward_gives():
    backbone = FeatureConvBackbone(Pooling(), out_channels=6, dilation=6)
    assert backbone.output_shape() == {"feat": ShapeSpec(channels=6, stride=16)}
    assert backbone(torch.rand(2, 3, 48, 80))["feat"].shape == (2, 6, 3, 5)


def test_body_of_another_stride_is_refused():
    with pytest.raises(ValueError, match="stride 16"):
        FeatureConvBackbone(Pooling(stride=32), out_channels=6, dilation=6)
