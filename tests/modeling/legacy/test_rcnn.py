"""The single-frame model beside Detectron2's, from which its postprocessing alone differs."""

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import GeneralizedRCNN, build_model
from detectron2.structures import ImageList
from torch import nn

from fgfa.modeling.legacy.rcnn import LegacyRCNN


def make_model(cfg: CfgNode, architecture: str) -> GeneralizedRCNN:
    torch.manual_seed(0)
    cfg.MODEL.META_ARCHITECTURE = architecture
    return build_model(cfg).eval()


@pytest.fixture
def model(tiny_cfg: CfgNode) -> LegacyRCNN:
    return make_model(tiny_cfg, "LegacyRCNN")


def make_image(seed: int) -> torch.Tensor:
    coarse = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(seed)) * 255
    return nn.functional.interpolate(coarse, (64, 96)).byte()[0]


@torch.no_grad()
def test_without_a_factor_it_is_detectron2s(model: LegacyRCNN, tiny_cfg: CfgNode):
    theirs = make_model(tiny_cfg, "GeneralizedRCNN")
    theirs.load_state_dict(model.state_dict())
    item = {"image": make_image(0), "height": 128, "width": 192}
    (result,), (expected,) = model([item]), theirs([item])
    boxes = result["instances"].pred_boxes.tensor
    assert len(boxes) > 0
    assert torch.equal(boxes, expected["instances"].pred_boxes.tensor)


@torch.no_grad()
def test_boxes_are_divided_by_the_factor_of_their_frame(model: LegacyRCNN):
    items = [
        {"image": make_image(0), "height": 129, "width": 193, "image_scale": 0.5},
        {"image": make_image(1), "height": 32, "width": 48, "image_scale": 2.0},
    ]
    raw = model.inference(items, do_postprocess=False)
    for output, instances, item in zip(model(items), raw, items, strict=True):
        result = output["instances"]
        assert len(result) > 0
        expected = instances.pred_boxes.tensor / item["image_scale"]
        assert torch.equal(result.pred_boxes.tensor, expected)
        assert result.image_size == (item["height"], item["width"])


@torch.no_grad()
def test_roi_heads_know_the_factors(model: LegacyRCNN):
    seen: list[ImageList] = []
    model.roi_heads.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    model([{"image": make_image(0), "image_scale": 0.5}, {"image": make_image(1)}])
    assert seen[0].image_scales == [0.5, 1.0]
