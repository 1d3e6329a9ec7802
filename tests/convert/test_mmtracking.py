"""mmtracking's FGFA, by names and shapes that its configs give; no real file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling.anchor_generator import build_anchor_generator

from fgfa import load_config
from fgfa.convert.mmtracking import SOURCES, rules
from fgfa.convert.name_table import rename
from fgfa.errors import InputError
from fgfa.modeling.flow_net import build_flow_net

ROOT = Path(__file__).parents[2]
Arrays = dict[str, np.ndarray]
RATIOS, SCALES = (0.5, 1.0, 2.0), (4, 8, 16, 32)
ANCHORS, CLASSES = len(RATIOS) * len(SCALES), 30
HEADS = {
    "detector.neck.convs.0.conv": (512, 2048, 3, 3),
    "detector.rpn_head.rpn_conv": (512, 512, 3, 3),
    "detector.rpn_head.rpn_cls": (ANCHORS, 512, 1, 1),
    "detector.rpn_head.rpn_reg": (4 * ANCHORS, 512, 1, 1),
    "detector.roi_head.bbox_head.shared_fcs.0": (1024, 512 * 7 * 7),
    "detector.roi_head.bbox_head.shared_fcs.1": (1024, 1024),
    "detector.roi_head.bbox_head.fc_cls": (CLASSES + 1, 1024),
    "detector.roi_head.bbox_head.fc_reg": (4 * CLASSES, 1024),
    "aggregator.embed_convs.0.conv": (512, 512, 3, 3),
}


@pytest.fixture(scope="session")
def make_arrays(resnet_arrays, flow_layouts) -> Callable[[int], Arrays]:
    def of_depth(depth: int) -> Arrays:
        arrays = {f"detector.backbone.{name}": v for name, v in resnet_arrays(depth).items()}
        for layer, shape in HEADS.items():
            arrays[f"{layer}.weight"] = np.zeros(shape, np.float32)
            arrays[f"{layer}.bias"] = np.zeros(shape[0], np.float32)
        flow = flow_layouts["mmtracking"]
        return arrays | flow.named(flow.weights(divisor=1), "motion.")

    return of_depth


@pytest.fixture
def cfg() -> CfgNode:
    return load_config(str(ROOT / SOURCES[-1].config))


@pytest.mark.parametrize("depth", [50, 101])
def test_model_loads_strictly(make_arrays, load_strictly, depth: int):
    source = load_strictly(make_arrays(depth), SOURCES)
    assert source.config == f"configs/imagenet_vid/fgfa_faster_rcnn_R_{depth}_mmtracking.yaml"


def test_array_that_is_not_known_is_named(make_arrays):
    arrays = {**make_arrays(50), "detector.neck.convs.1.conv.weight": np.zeros(1, np.float32)}
    with pytest.raises(InputError, match=r"detector\.neck\.convs\.1\.conv\.weight.* not known"):
        rename(arrays, SOURCES[-1].rules, "file.pth")


def test_each_anchor_keeps_its_logit_and_deltas(cfg: CfgNode):
    random = np.random.default_rng(0)
    logits = random.standard_normal((ANCHORS, 5, 1, 1), np.float32)
    deltas = random.standard_normal((4 * ANCHORS, 5, 1, 1), np.float32)
    bias = random.standard_normal(4 * ANCHORS, np.float32)
    arrays = {"rpn_cls.weight": logits, "rpn_reg.weight": deltas, "rpn_reg.bias": bias}
    arrays = {f"detector.rpn_head.{name}": array for name, array in arrays.items()}
    ours = rename(arrays, tuple(rules()), "file.pth")
    ours = {name.removeprefix("proposal_generator.rpn_head."): v for name, v in ours.items()}
    generator = build_anchor_generator(cfg, [ShapeSpec(channels=512, stride=16)])
    (cells,) = generator.cell_anchors
    # Ratio first, then scale, of a base of 16 pixels around the corner of the first cell.
    sides = [(16 * s * r**-0.5, 16 * s * r**0.5) for r in RATIOS for s in SCALES]
    for theirs, (width, height) in enumerate(sides):
        anchor = torch.tensor([-width, -height, width, height]) / 2
        (place,) = (cells - anchor).abs().amax(dim=1).lt(1e-3).nonzero().flatten().tolist()
        assert np.array_equal(ours["objectness_logits.weight"][place], logits[theirs])
        box, their_box = slice(4 * place, 4 * place + 4), slice(4 * theirs, 4 * theirs + 4)
        assert np.array_equal(ours["anchor_deltas.weight"][box], deltas[their_box])
        assert np.array_equal(ours["anchor_deltas.bias"][box], bias[their_box])


def test_class_and_box_weights_stay_in_order():
    random = np.random.default_rng(0)
    arrays = {
        "detector.roi_head.bbox_head.fc_cls.weight": random.standard_normal((31, 3), np.float32),
        "detector.roi_head.bbox_head.fc_reg.weight": random.standard_normal((120, 3), np.float32),
    }
    ours = rename(arrays, tuple(rules()), "file.pth")
    for (theirs, array), name in zip(arrays.items(), ("cls_score", "bbox_pred"), strict=True):
        assert np.array_equal(ours[f"roi_heads.box_predictor.{name}.weight"], array), theirs


def test_model_of_the_config_detects(run_small):
    instances = run_small(SOURCES[-1])
    assert len(instances) > 0
    assert instances.pred_boxes.tensor.isfinite().all()


def test_flow_network_of_the_config_sees_the_same_images(cfg: CfgNode):
    image = torch.rand(3, 4, 5) * 255
    expected = image / 255 - torch.tensor([0.411, 0.432, 0.450]).view(3, 1, 1)
    torch.testing.assert_close(build_flow_net(cfg).normalize(image), expected)
