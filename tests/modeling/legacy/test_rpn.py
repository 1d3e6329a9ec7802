"""Proposals, labels and losses of the original's region proposal network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.proposal_generator import build_proposal_generator
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.utils.events import EventStorage

from fgfa.modeling import LegacyAnchorGenerator, LegacyRPN
from fgfa.modeling.legacy.boxes import LegacyBox2BoxTransform

WEIGHTS = (10.0, 10.0, 2.5, 2.5)  # 1 / (0.1, 0.1, 0.4, 0.4)


def make_rpn(
    pre_nms: int = 6000,
    post_nms: int = 300,
    nms_thresh: float = 0.7,
    min_size: float = 0.0,
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0),
) -> LegacyRPN:
    return LegacyRPN(
        in_features=["feat"],
        head=torch.nn.Identity(),
        anchor_generator=LegacyAnchorGenerator(
            sizes=[[128, 256, 512]], aspect_ratios=[[0.5, 1.0, 2.0]], strides=[16], offset=0.0
        ),
        anchor_matcher=Matcher([0.3, 0.7], [0, -1, 1], allow_low_quality_matches=True),
        box2box_transform=LegacyBox2BoxTransform(weights, torch.float32),
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_topk=(pre_nms, pre_nms),
        post_nms_topk=(post_nms, post_nms),
        nms_thresh=nms_thresh,
        min_box_size=min_size,
        anchor_boundary_thresh=0,
        smooth_l1_beta=1.0,
    ).eval()


def make_anchors(rpn: LegacyRPN, height: int, width: int) -> Boxes:
    (anchors,) = rpn.anchor_generator([torch.zeros(1, 1, height, width)])
    return anchors


def per_anchor(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Maps (1, 9 * size, H, W) as rows (H * W * 9, size), the order of the anchors."""
    _, _, height, width = maps.shape
    return maps.view(9, size, height, width).permute(2, 3, 0, 1).reshape(-1, size)


@pytest.fixture(scope="module")
def ops(shared_dir: Path) -> dict[str, torch.Tensor]:
    golden = np.load(shared_dir / "golden" / "ops.npz")
    return {name: torch.from_numpy(golden[name]) for name in golden.files}


@pytest.mark.parametrize(
    "case", ["std38x63", "partial", "small", "pre50", "min16", "min16scale2", "ties"]
)
def test_proposals_are_those_of_the_original(ops, case):
    probabilities, deltas, image_info, rois, scores, params = (
        ops[f"proposal_{case}_{name}"]
        for name in ("cls_prob", "bbox_pred", "im_info", "rois", "scores", "params")
    )
    pre_nms, post_nms, nms_thresh, min_size = params.tolist()
    height, width, scale = image_info[0].tolist()
    rpn = make_rpn(int(pre_nms), int(post_nms), nms_thresh, min_size * scale)
    anchors = make_anchors(rpn, *probabilities.shape[2:])
    proposals = rpn.choose_proposals(
        anchors,
        rpn.box2box_transform.apply_deltas(per_anchor(deltas, 4), anchors.tensor),
        per_anchor(probabilities[:, 9:], 1).squeeze(1),
        (int(height), int(width)),
    )
    # The last digits decide what NMS keeps, so nothing but the same digits will do.
    assert torch.equal(proposals.proposal_boxes.tensor, rois[:, 1:])
    assert torch.equal(proposals.objectness_logits, scores[:, 0])


def test_deltas_are_denormalized_as_by_the_original(ops):
    anchors = make_anchors(make_rpn(), 5, 6).tensor
    raw, denormalized = (per_anchor(ops[f"rpninv_{name}"], 4) for name in ("in", "out"))
    ours = make_rpn(weights=WEIGHTS).box2box_transform.apply_deltas(raw, anchors)
    expected = make_rpn().box2box_transform.apply_deltas(denormalized, anchors)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_the_head_feeds_the_choice_of_proposals(ops):
    probabilities, deltas, rois = (
        ops[f"proposal_small_{name}"] for name in ("cls_prob", "bbox_pred", "rois")
    )
    rpn = make_rpn()
    logits = torch.cat([per_anchor(probabilities[:, 9:], 1).double().logit().T] * 2)
    (first, second) = rpn.predict_proposals(
        [make_anchors(rpn, *probabilities.shape[2:])],
        [logits],
        [torch.stack([per_anchor(deltas, 4)] * 2)],
        [(120, 213), (120, 150)],
    )
    torch.testing.assert_close(first.proposal_boxes.tensor, rois[:, 1:], atol=1e-5, rtol=0)
    assert second.proposal_boxes.tensor[:, 2].max() == 149


def original_sample(labels: torch.Tensor) -> np.ndarray:
    """Drops surplus labels with NumPy's generator, as the original does."""
    labels = labels.numpy().copy()
    for value, most in ((1, 128), (0, 256)):
        found = np.flatnonzero(labels == value)
        surplus = len(found) - most + (np.sum(labels == 1) if value == 0 else 0)
        if surplus > 0:
            labels[np.random.choice(found, size=surplus, replace=False)] = -1
    return labels


@pytest.mark.parametrize("case", ["small", "nogt", "big"])
def test_anchors_are_labeled_as_by_the_original(ops, case):
    _, _, height, width = ops[f"assign_{case}_featshape"].tolist()
    image_height, image_width, _ = ops[f"assign_{case}_iminfo"][0].tolist()
    gt_boxes = ops[f"assign_{case}_gt"][:, :4]
    rpn = make_rpn(weights=WEIGHTS)
    anchors = make_anchors(rpn, height, width)
    objects = Instances((int(image_height), int(image_width)), gt_boxes=Boxes(gt_boxes))

    labels, matched = rpn.match_anchors(anchors, objects)
    np.random.seed(123)
    sampled = torch.from_numpy(original_sample(labels))
    expected = ops[f"assign_{case}_label"].view(9, height, width).permute(1, 2, 0).flatten()
    assert torch.equal(sampled, expected.to(sampled.dtype))

    foreground = sampled == 1
    weights = per_anchor(ops[f"assign_{case}_bbox_weight"], 4)
    assert torch.equal(weights, foreground[:, None].expand(-1, 4).float())
    targets = rpn.box2box_transform.get_deltas(anchors.tensor, matched)[foreground]
    expected = per_anchor(ops[f"assign_{case}_bbox_target"], 4)[foreground]
    torch.testing.assert_close(targets, expected, atol=1e-5, rtol=0)


def test_sampled_labels_are_some_of_all_labels():
    rpn = make_rpn()
    anchors = make_anchors(rpn, 20, 30)
    objects = Instances((320, 480), gt_boxes=Boxes(torch.tensor([[30.0, 40.0, 200.0, 180.0]])))
    labels, _ = rpn.match_anchors(anchors, objects)
    ([sampled], _) = rpn.label_and_sample_anchors([anchors], [objects])
    assert (sampled >= 0).sum() == 256
    assert torch.equal(sampled[sampled >= 0], labels[sampled >= 0])


def test_an_object_teaches_its_best_anchor_within_the_image():
    rpn = make_rpn()
    # The 128-pixel anchors around this corner object reach out of the image.
    objects = Instances((320, 480), gt_boxes=Boxes(torch.tensor([[0.0, 0.0, 60.0, 60.0]])))
    anchors = make_anchors(rpn, 20, 30)
    labels, _ = rpn.match_anchors(anchors, objects)
    assert (labels == 1).any()
    assert anchors[labels >= 0].inside_box((320, 480)).all()


def test_class_loss_and_its_gradient_are_the_original_ones(ops):
    scores, labels, gradient = (ops[f"rpnsoftmax_{name}"] for name in ("in", "label", "grad"))
    background, foreground = scores.flatten(2)[0].requires_grad_()
    rpn = make_rpn()
    anchors = Boxes(torch.tensor([[0.0, 0.0, 9.0, 9.0]]).expand(labels.numel(), 4))
    with EventStorage():
        losses = rpn.losses(
            [anchors],
            [(foreground - background)[None]],
            [labels[0].long()],
            [torch.zeros(1, labels.numel(), 4)],
            [anchors.tensor],
        )
    for scores_of, expected in zip((background, foreground), gradient.flatten(2)[0], strict=True):
        (ours,) = torch.autograd.grad(losses["loss_rpn_cls"], scores_of, retain_graph=True)
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    probability = (foreground - background).sigmoid()
    expected = ops["rpnsoftmax_prob"].flatten(2)[0, 1]
    torch.testing.assert_close(probability, expected, atol=1e-5, rtol=0)


def test_box_loss_is_divided_by_the_batch_size_of_anchors():
    rpn = make_rpn()
    anchors = Boxes(torch.tensor([[0.0, 0.0, 9.0, 9.0]] * 3))
    deltas = torch.zeros(1, 3, 4)
    deltas[0, :, 0] = torch.tensor([3.0, 5.0, 0.5])
    with EventStorage():
        losses = rpn.losses(
            [anchors], [torch.zeros(1, 3)], [torch.tensor([1, -1, 1])], [deltas], [anchors.tensor]
        )
    assert losses["loss_rpn_loc"].item() == pytest.approx((2.5 + 0.125) / 256)
    assert losses["loss_rpn_cls"].item() == pytest.approx(np.log(2))


def test_it_is_built_from_a_config(tiny_cfg: CfgNode):
    tiny_cfg.MODEL.PROPOSAL_GENERATOR.NAME = "LegacyRPN"
    tiny_cfg.MODEL.ANCHOR_GENERATOR.NAME = "LegacyAnchorGenerator"
    rpn = build_proposal_generator(tiny_cfg, {"feat": ShapeSpec(channels=16, stride=16)}).eval()
    assert isinstance(rpn, LegacyRPN)
    images = ImageList(torch.zeros(1, 3, 64, 96), [(64, 96)])
    ([proposals], losses) = rpn(images, {"feat": torch.randn(1, 16, 4, 6)})
    assert len(proposals) == 40
    assert losses == {}
