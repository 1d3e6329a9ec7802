"""The R-FCN head: channels, losses, hard example mining and inference."""

import sys
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_roi_heads
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.matcher import Matcher
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.utils.events import EventStorage

from fgfa.modeling import RFCNROIHeads

Goldens = Callable[[str], Mapping[str, np.ndarray]]

SIZE = (64, 96)
IMAGES = ImageList(torch.zeros(1, 3, *SIZE), [SIZE])


def make_head(
    num_classes: int = 2, ohem_rois: int = 2, transform: object | None = None
) -> RFCNROIHeads:
    torch.manual_seed(0)
    return RFCNROIHeads(
        num_classes=num_classes,
        batch_size_per_image=sys.maxsize,
        positive_fraction=1.0,
        proposal_matcher=Matcher([0.5], [0, 1]),
        in_feature="feat",
        in_channels=8,
        spatial_scale=1 / 16,
        grid_size=3,
        ohem_rois=ohem_rois,
        box2box_transform=transform or Box2BoxTransform(weights=(10.0, 10.0, 5.0, 5.0)),
        smooth_l1_beta=1.0,
        test_score_thresh=0.05,
        test_nms_thresh=0.3,
        test_topk_per_image=10,
    )


def make_rois(
    boxes: list[list[float]], classes: list[int] | None = None, gt: list[list[float]] | None = None
) -> Instances:
    rois = Instances(SIZE)
    rois.proposal_boxes = Boxes(torch.tensor(boxes).view(-1, 4))
    rois.objectness_logits = torch.zeros(len(boxes))
    if classes is not None:
        rois.gt_classes = torch.tensor(classes, dtype=torch.long)
    if gt is not None:
        rois.gt_boxes = Boxes(torch.tensor(gt))
    return rois


def make_targets(boxes: list[list[float]], classes: list[int]) -> Instances:
    targets = Instances(SIZE)
    targets.gt_boxes = Boxes(torch.tensor(boxes).view(-1, 4))
    targets.gt_classes = torch.tensor(classes, dtype=torch.long)
    return targets


def random_rois(count: int) -> Instances:
    corners = torch.rand(count, 2) * 40
    sides = 10 + torch.rand(count, 2) * 14
    return make_rois(torch.cat([corners, corners + sides], dim=1).tolist())


def test_head_is_built_from_the_config(tiny_cfg: CfgNode):
    head = build_roi_heads(tiny_cfg, {"feat": ShapeSpec(channels=16, stride=16)})
    assert isinstance(head, RFCNROIHeads)
    logits, deltas = head.predict(
        torch.randn(1, 16, 4, 6), [torch.tensor([[0.0, 0.0, 60.0, 40.0]])]
    )
    assert logits.shape == (1, 6)
    assert deltas.shape == (1, 4)


def test_only_the_second_half_of_the_channels_is_read():
    feature = torch.randn(1, 8, 4, 6, requires_grad=True)
    logits, deltas = make_head().predict(feature, [torch.tensor([[0.0, 0.0, 90.0, 60.0]])])
    (logits.sum() + deltas.sum()).backward()
    touched = feature.grad.abs().amax(dim=(0, 2, 3)) > 0
    assert touched.tolist() == [False] * 4 + [True] * 4


def test_losses_of_a_hand_made_case():
    head = make_head()
    # RoI 1 is background, RoI 2 of class 0 and 1/10 of its width left of its box.
    rois = make_rois(
        [[0.0, 0.0, 8.0, 8.0], [10.0, 10.0, 30.0, 30.0]],
        [2, 0],
        [[0.0] * 4, [12.0, 10.0, 32.0, 30.0]],
    )
    logits = torch.zeros(2, 3)
    losses = head.losses(logits, torch.zeros(2, 4), [rois])
    # Deltas (1, 0, 0, 0): shift 2 / width 20 * weight 10; smooth L1 at 1 is 0.5.
    torch.testing.assert_close(losses["loss_cls"], torch.tensor(3.0).log())
    torch.testing.assert_close(losses["loss_box_reg"], torch.tensor(0.5 / 2))


def test_the_background_is_the_last_class():
    head = make_head()
    logits = torch.tensor([[0.0, 0.0, 20.0]])
    rois = make_rois([[0.0, 0.0, 8.0, 8.0]], [2])
    assert head.losses(logits, torch.zeros(1, 4), [rois])["loss_cls"] < 1e-6
    (instances,) = head.inference(logits, torch.zeros(1, 4), [rois])
    assert len(instances) == 0


def test_hardest_rois_of_each_image_are_learned_from():
    head = make_head(ohem_rois=2)
    # Loss falls with the logit of the RoI's class.
    logits = torch.zeros(7, 3)
    logits[:, 2] = torch.tensor([5.0, 1.0, 3.0, 2.0, 9.0, 8.0, 7.0])
    logits.requires_grad_()
    box = [0.0, 0.0, 8.0, 8.0]
    proposals = [make_rois([box] * 4, [2] * 4), make_rois([box] * 3, [2] * 3)]
    losses = head.losses(logits, torch.zeros(7, 4), proposals)
    losses["loss_cls"].backward()
    assert (logits.grad.abs().sum(dim=1) > 0).nonzero().flatten().tolist() == [1, 3, 5, 6]
    expected = torch.nn.functional.cross_entropy(logits[[1, 3, 5, 6]], torch.full((4,), 2))
    torch.testing.assert_close(losses["loss_cls"], expected)


def test_box_loss_counts_in_the_choice_of_the_hardest():
    head = make_head(ohem_rois=1)
    box, far = [10.0, 10.0, 30.0, 30.0], [20.0, 20.0, 40.0, 50.0]
    rois = make_rois([box, box], [0, 0], [box, far])
    deltas = torch.zeros(2, 4, requires_grad=True)
    logits = torch.tensor([[-0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])  # the first has more class loss
    head.losses(logits, deltas, [rois])["loss_box_reg"].backward()
    assert (deltas.grad.abs().sum(dim=1) > 0).tolist() == [False, True]


class GivenDeltas:
    """Stands for a box transform whose targets are known."""

    def __init__(self, targets: torch.Tensor) -> None:
        self.targets = targets

    def get_deltas(self, rois: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        return self.targets


@pytest.mark.parametrize("case", ["a", "fewer"])
def test_hard_example_mining_is_that_of_the_original(case: str, golden: Goldens):
    names = ("cls_score", "bbox_pred", "labels", "bbox_targets", "bbox_weights")
    scores, deltas, labels, targets, weights, kept_labels, kept_weights = (
        torch.from_numpy(golden("ops")[f"ohem_{case}_{name}"])
        for name in (*names, "out_labels", "out_weights")
    )
    foreground = labels > 0
    head = make_head(
        num_classes=scores.shape[1] - 1,
        ohem_rois=int(golden("ops")[f"ohem_{case}_k"]),
        transform=GivenDeltas(targets[foreground, 4:]),
    )
    background_last = scores.roll(-1, dims=1).requires_grad_()
    classes = torch.where(foreground, labels - 1, head.num_classes).long()
    rois = make_rois([[0.0, 0.0, 8.0, 8.0]] * len(labels), classes.tolist())
    deltas = deltas[:, 4:].clone().requires_grad_()
    losses = head.losses(background_last, deltas, [rois])
    sum(losses.values()).backward()
    # The original marks what it drops with label -1 and box weight 0.
    kept = background_last.grad.abs().sum(dim=1) > 0
    assert torch.equal(torch.where(kept, labels, -1), kept_labels)
    kept_boxes = deltas.grad.abs().sum(dim=1) > 0
    assert torch.equal(weights * kept_boxes[:, None], kept_weights)
    smooth_l1 = torch.nn.functional.smooth_l1_loss(deltas, targets[:, 4:], reduction="none")
    expected = (smooth_l1 * kept_weights[:, 4:]).sum() / head.ohem_rois
    torch.testing.assert_close(losses["loss_box_reg"], expected)


def test_class_loss_gradient_is_that_of_the_original(golden: Goldens):
    scores, labels, grad = (
        torch.from_numpy(golden("ops")[f"clssoftmax_{name}"]) for name in ("in", "label", "grad")
    )
    # Label -1 marks RoIs that hard example mining dropped.
    kept = labels >= 0
    head = make_head(num_classes=scores.shape[1] - 1, ohem_rois=128)
    logits = scores[kept].roll(-1, dims=1).requires_grad_()
    classes = torch.where(labels > 0, labels - 1, head.num_classes).long()[kept]
    rois = make_rois([[0.0, 0.0, 8.0, 8.0]] * len(classes), classes.tolist())
    head.losses(logits, torch.zeros(len(classes), 4), [rois])["loss_cls"].backward()
    torch.testing.assert_close(logits.grad.roll(1, dims=1), grad[kept], atol=1e-7, rtol=1e-5)
    assert not grad[~kept].any()


def test_probabilities_are_those_of_the_original(golden: Goldens):
    scores, expected = (
        torch.from_numpy(golden("ops")[f"clssoftmax_{name}"]) for name in ("in", "prob")
    )
    head = make_head(num_classes=scores.shape[1] - 1)
    head.test_score_thresh, head.test_topk_per_image = -1.0, scores.numel()
    rois = make_rois([[4.0 * i, 0.0, 4.0 * i + 2, 2.0] for i in range(len(scores))])
    logits = scores.roll(-1, dims=1)
    (instances,) = head.inference(logits, torch.zeros(len(scores), 4), [rois])
    probabilities = torch.zeros_like(scores[:, 1:])
    row = (instances.pred_boxes.tensor[:, 0] / 4).round().long()
    probabilities[row, instances.pred_classes] = instances.scores
    torch.testing.assert_close(probabilities, expected[:, 1:], rtol=0, atol=1e-5)


def test_box_loss_is_that_of_the_original(golden: Goldens):
    differences, losses, grad = (
        torch.from_numpy(golden("ops")[f"smoothl1_{name}"]) for name in ("in", "out", "grad")
    )
    head = make_head(ohem_rois=1, transform=GivenDeltas(torch.zeros(1, 4)))
    deltas = torch.nn.functional.pad(differences[:, None], (0, 3)).requires_grad_()
    roi = make_rois([[0.0, 0.0, 8.0, 8.0]], [0])
    ours = [head.losses(torch.zeros(1, 3), row[None], [roi])["loss_box_reg"] for row in deltas]
    torch.testing.assert_close(torch.stack(ours), losses, rtol=0, atol=1e-5)
    torch.stack(ours).sum().backward()
    torch.testing.assert_close(deltas.grad[:, 0], grad, rtol=0, atol=1e-5)


def test_training_labels_all_rois_and_the_ground_truth():
    head = make_head(ohem_rois=100).train()
    head.proposal_append_gt = True
    rois, targets = random_rois(12), make_targets([[10.0, 10.0, 40.0, 40.0]], [1])
    with EventStorage():
        proposals, losses = head(IMAGES, {"feat": torch.randn(1, 8, 4, 6)}, [rois], [targets])
    assert len(proposals[0]) == 13
    assert (proposals[0].gt_classes == 1).any()
    assert set(losses) == {"loss_cls", "loss_box_reg"}
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())


def test_images_without_ground_truth_teach_background():
    head = make_head(ohem_rois=100).train()
    features = {"feat": torch.randn(2, 8, 4, 6)}
    targets = [make_targets([], []), make_targets([[10.0, 10.0, 40.0, 40.0]], [1])]
    with EventStorage():
        rois = [random_rois(5), make_rois([[10.0, 10.0, 40.0, 40.0]])]
        proposals, losses = head(IMAGES, features, rois, targets)
        assert proposals[0].gt_classes.tolist() == [2] * 5
        assert losses["loss_box_reg"] > 0
        _, losses = head(IMAGES, features, [random_rois(5), random_rois(5)], [targets[0]] * 2)
    assert losses["loss_box_reg"] == 0
    assert losses["loss_cls"].isfinite()


def test_images_without_rois_have_no_loss():
    losses = make_head().losses(torch.zeros(0, 3), torch.zeros(0, 4), [make_rois([], [])])
    assert {name: loss.item() for name, loss in losses.items()} == {
        "loss_cls": 0.0,
        "loss_box_reg": 0.0,
    }


def test_detections_are_scored_thresholded_and_suppressed():
    head = make_head()
    box, shifted, other = (
        [10.0, 10.0, 30.0, 30.0],
        [11.0, 10.0, 31.0, 30.0],
        [50.0, 10.0, 70.0, 30.0],
    )
    rois = make_rois([box, shifted, other])
    logits = torch.tensor([[3.0, 0.0, 0.0], [2.0, 0.0, 0.0], [-9.0, 4.0, 0.0]])
    (instances,) = head.inference(logits, torch.zeros(3, 4), [rois])
    # Class 0 of the first box and class 1 of all three pass 0.05; NMS keeps one of each cluster.
    scores = logits.softmax(dim=1)
    found = sorted(zip(instances.pred_classes.tolist(), instances.scores.tolist(), strict=True))
    expected = [(0, scores[0, 0]), (1, scores[1, 1]), (1, scores[2, 1])]
    assert [c for c, _ in found] == [c for c, _ in expected]
    np.testing.assert_allclose([s for _, s in found], [s.item() for _, s in expected], rtol=1e-6)


def test_nothing_above_the_threshold_gives_no_detections():
    logits = torch.tensor([[0.0, 0.0, 9.0]] * 3)
    (instances,) = make_head().inference(logits, torch.zeros(3, 4), [random_rois(3)])
    assert len(instances) == 0
    assert instances.pred_boxes.tensor.shape == (0, 4)


def test_deltas_move_boxes():
    rois = make_rois([[10.0, 10.0, 30.0, 30.0]])
    logits = torch.tensor([[9.0, 0.0, 0.0]])
    (instances,) = make_head().inference(logits, torch.tensor([[1.0, 0.0, 0.0, 0.0]]), [rois])
    torch.testing.assert_close(
        instances.pred_boxes.tensor, torch.tensor([[12.0, 10.0, 32.0, 30.0]])
    )
