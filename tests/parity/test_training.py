"""One training step of the original: targets, losses, and the gradient of every parameter."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.layers import FrozenBatchNorm2d
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

from fgfa.convert.mxnet import BoxWeights, sources
from fgfa.convert.name_table import choose_source
from fgfa.modeling import FGFA

pytestmark = pytest.mark.slow

SIZE = (180, 320)
CELLS = (12, 20)
CLASSES = 30
BINS = 49  # channels of a class or coordinate in the position-sensitive maps
RECORDED_GRADIENTS = [
    *("conv1_weight", "res3a_branch2a_weight", "bn4b22_branch2c_gamma", "bn5c_branch2c_beta"),
    *("feat_conv_3x3_bias", "em_conv1_bias", "em_conv3_bias"),
    *("flow_conv1_weight", "flow_conv1_bias", "conv6_1_bias", "deconv2_bias"),
    *(
        "Convolution1_weight",
        "Convolution5_weight",
        "Convolution5_bias",
        "upsample_flow6to5_weight",
    ),
    *("rpn_cls_score_weight", "rpn_cls_score_bias", "rpn_bbox_pred_bias"),
    *("rfcn_cls_bias", "rfcn_bbox_bias"),
]
# What our channels are of the original's, where they differ.
CHANNELS = {
    "rpn_cls_score_weight": lambda x: x[9:],
    "rpn_cls_score_bias": lambda x: x[9:],
    "rfcn_cls_bias": lambda x: x.roll(-BINS),
    "rfcn_bbox_bias": lambda x: x[4 * BINS :],
}


class Step:
    """A training step on the key frame and the two neighbors of the goldens."""

    def __init__(self, model: FGFA, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.rpn = model.proposal_generator
        self.rpn.label_and_sample_anchors = self.given_labels
        model.roi_heads.register_forward_hook(self.keep_rois)
        gt = torch.from_numpy(arrays["in_gt_boxes"][0])
        objects = Instances(SIZE, gt_boxes=Boxes(gt[:, :4]), gt_classes=gt[:, 4].long() - 1)
        rgb = np.ascontiguousarray(arrays["frames_bgr_u8_cur_bef_aft"][..., ::-1])
        key, *neighbors = torch.from_numpy(rgb).permute(0, 3, 1, 2)
        parameters = trainable(model)
        with EventStorage():
            self.losses = model([{"image": key, "neighbors": neighbors, "instances": objects}])
        gradients = torch.autograd.grad(sum(self.losses.values()), list(parameters.values()))
        self.gradients = dict(zip(parameters, gradients, strict=True))

    def given_labels(self, anchors: list[Boxes], objects: list[Instances]) -> tuple[list, list]:
        """The anchors that the original sampled, with the targets of our own matching."""
        self.labels, matched = self.rpn.match_anchors(anchors[0], objects[0])
        self.targets = self.rpn.box2box_transform.get_deltas(anchors[0].tensor, matched)
        self.given = per_anchor(self.arrays["in_label"], 1).squeeze(1).long()
        return [self.given], [matched]

    def keep_rois(self, head: object, inputs: tuple, outputs: tuple) -> None:
        # The original puts the RoIs of objects first.
        (rois,) = outputs[0]
        self.rois = rois[(rois.gt_classes == CLASSES).int().argsort(stable=True)]


def trainable(model: FGFA) -> dict[str, torch.Tensor]:
    """Every parameter, and the factors and offsets of batch norms, which are frozen here."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.weight.requires_grad_()
            module.bias.requires_grad_()
    model.requires_grad_()
    found = dict(model.named_parameters())
    return found | {n: b for n, b in model.named_buffers() if b.requires_grad}


def per_anchor(array: np.ndarray, size: int) -> torch.Tensor:
    """Maps of 9 * size channels as rows (H * W * 9, size), the order of the anchors."""
    return torch.from_numpy(array).view(9, size, *CELLS).permute(2, 3, 0, 1).reshape(-1, size)


@pytest.fixture(scope="module")
def arrays(golden: Callable[[str], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
    return golden("train_180x320")


@pytest.fixture(scope="module")
def recorded(shared_dir: Path) -> dict:
    return json.loads((shared_dir / "golden" / "train_180x320.json").read_text())


@pytest.fixture(scope="module")
def step(
    make_original_model: Callable[[BoxWeights], FGFA], arrays: Mapping[str, np.ndarray]
) -> Step:
    return Step(make_original_model("train").train(), arrays)


def test_anchor_targets(step, arrays):
    sampled = step.given >= 0
    assert torch.equal(step.labels[sampled], step.given[sampled])
    foreground = step.given == 1
    expected = per_anchor(arrays["in_bbox_target"], 4)
    torch.testing.assert_close(step.targets[foreground], expected[foreground], atol=1e-5, rtol=0)


def test_rois_and_their_targets(step, arrays):
    rois = torch.from_numpy(arrays["mid_custom1_rois_output"])
    boxes = step.rois.proposal_boxes.tensor
    torch.testing.assert_close(boxes, rois[:, 1:], atol=0.01, rtol=0)
    background_first = (step.rois.gt_classes + 1) % (CLASSES + 1)
    assert torch.equal(background_first, torch.from_numpy(arrays["mid_custom1_label"]).long())


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        ("loss_rpn_cls", "RPNLogLoss"),
        ("loss_rpn_loc", "RPNL1Loss"),
        ("loss_cls", "RCNNLogLoss"),
        ("loss_box_reg", "RCNNL1Loss"),
    ],
)
def test_losses(step, recorded, ours, name):
    metric = recorded["losses"][name]
    # The metric of RPN boxes is a mean over the sampled anchors, the loss a 256th of their sum.
    count = 256 if name == "RPNL1Loss" else metric["num"]
    assert step.losses[ours].item() == pytest.approx(metric["sum"] / count, rel=1e-4)


@pytest.fixture(scope="module")
def gradients(step, original_weights) -> dict[str, torch.Tensor]:
    """Our gradients by the original's names."""
    rules = choose_source(original_weights, sources("train"), "the goldens").rules
    return {
        rule.pattern: step.gradients[rule.target] for rule in rules if rule.target in step.gradients
    }


def test_gradient_norms(gradients, recorded):
    norms = {name: gradient.double().norm().item() for name, gradient in gradients.items()}
    for name in ("rpn_cls_score_weight", "rpn_cls_score_bias"):
        # Our logit is the difference of two scores, which get the gradient with either sign.
        norms[name] *= 2**0.5
    assert norms == pytest.approx(recorded["grad_norm"], rel=1e-3)


@pytest.mark.parametrize("name", RECORDED_GRADIENTS)
def test_gradients(gradients, arrays, name):
    ours, expected = gradients[name], torch.from_numpy(arrays[f"grad_{name}"])
    if name in CHANNELS:
        expected = CHANNELS[name](expected)
    # Of the whole tensor: a ReLU that the last digit turns on or off changes single elements, in a
    # float64 pass as well.
    assert (ours - expected).double().norm() < 1e-3 * expected.double().norm()


def test_every_recorded_gradient_is_compared(arrays):
    recorded = {name.removeprefix("grad_") for name in arrays if name.startswith("grad_")}
    assert recorded == set(RECORDED_GRADIENTS)
