"""mega.pytorch's FGFA, by names and shapes that its code gives; no real file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.layers import FrozenBatchNorm2d, ShapeSpec
from detectron2.modeling.anchor_generator import build_anchor_generator
from torch.nn import functional as F

from fgfa import load_config
from fgfa.convert.mega import SOURCES, rules
from fgfa.convert.name_table import rename
from fgfa.modeling.flow_net import build_flow_net

ROOT = Path(__file__).parents[2]
Arrays = dict[str, np.ndarray]
CLASSES, ANCHORS = 31, 12  # with background, the first
EXTRACTOR = "roi_heads.box.feature_extractor."


@pytest.fixture(scope="session")
def make_arrays(resnet_arrays, flow_layouts) -> Callable[[int], Arrays]:
    def of_depth(depth: int) -> Arrays:
        arrays = {
            resnet_name(name): array
            for name, array in resnet_arrays(depth).items()
            if not name.endswith("num_batches_tracked")
        }
        for layer, shape in head_shapes(depth).items():
            arrays[f"{layer}.weight"] = np.zeros(shape, np.float32)
            arrays[f"{layer}.bias"] = np.zeros(shape[0], np.float32)
        arrays["rpn.anchor_generator.cell_anchors.0"] = np.zeros((ANCHORS, 4), np.float32)
        flow = flow_layouts["mega"]
        return arrays | flow.named(flow.weights(divisor=1), "flownet.")

    return of_depth


def resnet_name(name: str) -> str:
    if name.startswith("layer4"):
        return f"{EXTRACTOR}head.{name}"
    return f"backbone.body.{name if name.startswith('layer') else f'stem.{name}'}"


def head_shapes(depth: int) -> dict[str, tuple[int, ...]]:
    # ResNet-50 is trained with a reduction to 256 channels, ResNet-101 without.
    shapes = {f"{EXTRACTOR}conv": (256, 2048, 1, 1)} if depth == 50 else {}
    pooled = 256 if depth == 50 else 2048
    return shapes | {
        "embednet.embed_conv1": (512, 1024, 1, 1),
        "embednet.embed_conv2": (512, 512, 3, 3),
        "embednet.embed_conv3": (2048, 512, 1, 1),
        "rpn.head.conv": (1024, 1024, 3, 3),
        "rpn.head.cls_logits": (ANCHORS, 1024, 1, 1),
        "rpn.head.bbox_pred": (4 * ANCHORS, 1024, 1, 1),
        f"{EXTRACTOR}fc6": (1024, pooled * 7 * 7),
        f"{EXTRACTOR}fc7": (1024, 1024),
        "roi_heads.box.predictor.cls_score": (CLASSES, 1024),
        "roi_heads.box.predictor.bbox_pred": (4 * CLASSES, 1024),
    }


@pytest.mark.parametrize("depth", [50, 101])
def test_model_loads_strictly(make_arrays, load_strictly, depth: int):
    source = load_strictly(make_arrays(depth), SOURCES)
    assert source.config == f"configs/imagenet_vid/fgfa_faster_rcnn_R_{depth}_mega.yaml"


def test_batch_norms_without_epsilon_give_the_same():
    random = np.random.default_rng(0)
    norm = {kind: random.standard_normal(6) for kind in ("weight", "bias", "running_mean")}
    norm["running_var"] = np.geomspace(1e-6, 10, 6)
    arrays = {f"backbone.body.stem.bn1.{k}": v.astype(np.float32) for k, v in norm.items()}
    ours = rename(arrays, tuple(rules()), "file.pth")
    layer = FrozenBatchNorm2d(6)
    prefix = "backbone.stem.conv1.norm."
    layer.load_state_dict({k.removeprefix(prefix): torch.from_numpy(v) for k, v in ours.items()})
    x = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    weight, bias, mean, variance = (
        torch.from_numpy(v).float().view(-1, 1, 1) for v in norm.values()
    )
    expected = (x - mean) * weight * variance.rsqrt() + bias
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-4)


def test_background_is_last_and_has_no_boxes():
    random = np.random.default_rng(0)
    scores = random.standard_normal((CLASSES, 5), np.float32)
    deltas = random.standard_normal((CLASSES, 4, 5), np.float32)
    prefix = "roi_heads.box.predictor."
    arrays = {
        f"{prefix}cls_score.weight": scores,
        f"{prefix}bbox_pred.weight": deltas.reshape(-1, 5),
    }
    ours = rename(arrays, tuple(rules()), "file.pth")
    ours = {name.removeprefix("roi_heads.box_predictor."): array for name, array in ours.items()}
    for label in range(CLASSES - 1):
        assert np.array_equal(ours["cls_score.weight"][label], scores[label + 1])
        box = slice(4 * label, 4 * label + 4)
        assert np.array_equal(ours["bbox_pred.weight"][box], deltas[label + 1])
    assert np.array_equal(ours["cls_score.weight"][-1], scores[0])
    assert ours["bbox_pred.weight"].shape == (4 * (CLASSES - 1), 5)


def test_anchors_of_the_config_are_in_the_order_of_the_weights():
    cfg = load_config(str(ROOT / SOURCES[-1].config))
    generator = build_anchor_generator(cfg, [ShapeSpec(channels=1024, stride=16)])
    (anchors,) = generator.cell_anchors
    # Sides of 16 x 16 pixels at ratios 0.5, 1 and 2, in whole pixels, times 4, 8, 16 and 32.
    bases = torch.tensor([[23.0, 12.0], [16.0, 16.0], [11.0, 22.0]])
    sides = (bases[:, None] * torch.tensor([4.0, 8.0, 16.0, 32.0])[:, None]).flatten(0, 1)
    torch.testing.assert_close(anchors[:, 2:] - anchors[:, :2] + 1, sides)
    torch.testing.assert_close((anchors[:, 2:] + anchors[:, :2]) / 2, torch.full((ANCHORS, 2), 7.5))


def test_bgr_flow_network_sees_the_rgb_pair():
    weight = np.random.default_rng(0).standard_normal((4, 6, 7, 7)).astype(np.float32)
    ours = rename({"flownet.flow_conv1.weight": weight}, tuple(rules()), "file.pth")
    (converted,) = ours.values()
    rgb = torch.randn(1, 6, 9, 9, generator=torch.Generator().manual_seed(0)).double()
    bgr = torch.cat([rgb[:, :3].flip(1), rgb[:, 3:].flip(1)], dim=1)
    torch.testing.assert_close(
        F.conv2d(rgb, torch.from_numpy(converted).double()),
        F.conv2d(bgr, torch.from_numpy(weight).double()),
    )


def test_model_of_the_config_detects(run_small):
    instances = run_small(SOURCES[-1])
    assert len(instances) > 0
    assert instances.pred_boxes.tensor.isfinite().all()


def test_both_networks_of_the_config_see_the_same_images():
    cfg = load_config(str(ROOT / SOURCES[-1].config))
    bgr = torch.rand(3, 4, 5) * 255
    centered = bgr - torch.tensor([102.9801, 115.9465, 122.7717]).view(3, 1, 1)
    flow_image = build_flow_net(cfg).normalize(bgr.flip(0))
    torch.testing.assert_close(flow_image, centered.flip(0) / 255)
    assert cfg.INPUT.FORMAT == "BGR"
    assert cfg.MODEL.PIXEL_MEAN == [102.9801, 115.9465, 122.7717]
    assert cfg.MODEL.PIXEL_STD == [1.0, 1.0, 1.0]
