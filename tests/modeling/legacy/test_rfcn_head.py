"""The R-FCN head with the original's RoI targets and detections."""

from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_roi_heads
from detectron2.modeling.matcher import Matcher
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.utils.events import EventStorage

from fgfa.modeling import LegacyRFCNROIHeads
from fgfa.modeling.legacy.boxes import LegacyBox2BoxTransform
from fgfa.modeling.scaled_images import ScaledImageList

SIZE = (320, 480)
STDS = torch.tensor([0.1, 0.1, 0.2, 0.2])


def make_head(num_classes: int = 30, topk: int = 300) -> LegacyRFCNROIHeads:
    return LegacyRFCNROIHeads(
        num_classes=num_classes,
        batch_size_per_image=128,
        positive_fraction=0.25,
        proposal_matcher=Matcher([0.5], [0, 1]),
        in_feature="feat",
        in_channels=8,
        spatial_scale=1 / 16,
        grid_size=3,
        ohem_rois=128,
        box2box_transform=LegacyBox2BoxTransform((1 / STDS).tolist()),
        smooth_l1_beta=1.0,
        test_score_thresh=0.05,
        test_nms_thresh=0.3,
        test_topk_per_image=topk,
    )


def make_rois(boxes: torch.Tensor) -> Instances:
    logits = torch.zeros(len(boxes))
    return Instances(SIZE, proposal_boxes=Boxes(boxes), objectness_logits=logits)


def detect(head: LegacyRFCNROIHeads, boxes: list[list[float]], logits: list[list[float]]):
    (instances,) = head.inference(
        torch.tensor(logits), torch.zeros(len(boxes), 4), [make_rois(torch.tensor(boxes))]
    )
    return instances


@pytest.fixture(scope="module")
def ops(shared_dir: Path) -> dict[str, torch.Tensor]:
    golden = np.load(shared_dir / "golden" / "ops.npz")
    return {name: torch.from_numpy(golden[name]) for name in golden.files}


def test_roi_targets_are_those_of_the_original(ops):
    rois, gt, labels, targets, weights = (
        ops[f"samplerois_{name}"] for name in ("rois", "gt", "labels", "targets", "weights")
    )
    objects = Instances(SIZE, gt_boxes=Boxes(gt[:, :4]), gt_classes=gt[:, 4].long() - 1)
    head = make_head()
    given = ops["samplerois_in"][: -len(gt), 1:]  # without the ground truth, which the head adds
    with EventStorage():
        (labeled,) = head.label_and_sample_proposals([make_rois(given)], [objects])
    # The same RoIs, but the original puts those of objects first.
    labeled = labeled[(labeled.gt_classes == 30).int().argsort(stable=True)]
    assert torch.equal(labeled.proposal_boxes.tensor, rois[:, 1:])
    background_first = (labeled.gt_classes + 1) % 31
    assert torch.equal(background_first, labels.long())

    foreground = labels > 0
    assert torch.equal(weights[:, 4:].bool(), foreground[:, None].expand(-1, 4))
    deltas = head.box2box_transform.get_deltas(
        labeled.proposal_boxes.tensor[foreground], labeled.gt_boxes.tensor[foreground]
    )
    torch.testing.assert_close(deltas, targets[foreground, 4:], atol=1e-5, rtol=0)


def test_overlaps_count_pixels_in_matching():
    # 10 of 20 pixels overlap; between corners it would be 9 of 19.
    objects = Instances(
        SIZE,
        gt_boxes=Boxes(torch.tensor([[0.0, 0.0, 19.0, 0.0]])),
        gt_classes=torch.tensor([3]),
    )
    with EventStorage():
        (labeled,) = make_head().label_and_sample_proposals(
            [make_rois(torch.tensor([[0.0, 0.0, 9.0, 0.0]]))], [objects]
        )
    assert labeled.gt_classes.tolist() == [3, 3]


def test_boxes_are_clipped_to_the_last_pixel_and_kept_where_they_are_one_pixel_wide():
    boxes = [[-50.0, -40.0, 600.0, 500.0], [479.0, 10.0, 479.0, 40.0]]
    instances = detect(make_head(num_classes=1), boxes, [[5.0, 0.0], [4.0, 0.0]])
    assert instances.pred_boxes.tensor.tolist() == [[0, 0, 479, 319], boxes[1]]


def test_detections_that_tie_with_the_last_are_kept():
    boxes = [[40.0 * i, 0.0, 40.0 * i + 20, 30.0] for i in range(4)]
    logits = [[3.0, 0.0], [1.0, 0.0], [2.0, 0.0], [1.0, 0.0]]
    head = make_head(num_classes=1, topk=3)
    instances = detect(head, boxes, logits)
    assert instances.pred_boxes.tensor[:, 0].tolist() == [0, 80, 40, 120]
    head.test_topk_per_image = 2
    assert len(detect(head, boxes, logits)) == 2
    head.test_topk_per_image = -1
    assert len(detect(head, boxes, logits)) == 4


def test_each_class_is_thresholded_and_suppressed_alone():
    box, shifted, other = [10.0, 10.0, 30.0, 30.0], [11.0, 10.0, 31.0, 30.0], [50.0, 9.0, 70.0, 9.0]
    logits = [[3.0, 0.0, 0.0], [2.0, 0.0, 0.0], [-9.0, 4.0, 0.0]]
    instances = detect(make_head(num_classes=2), [box, shifted, other], logits)
    scores = torch.tensor(logits).softmax(dim=1)
    # Class 0 of the first box and class 1 of all three pass 0.05; NMS keeps one of each cluster.
    found = list(zip(instances.pred_classes.tolist(), instances.scores.tolist(), strict=True))
    assert found == [(1, scores[2, 1].item()), (0, scores[0, 0].item()), (1, scores[1, 1].item())]


def test_overlaps_are_measured_in_pixels_of_the_frame():
    # 2 of 6 columns overlap; of a frame resized by 1/8 they are 9 of 41, which is less than 0.3.
    rois = make_rois(torch.tensor([[0.0, 0.0, 3.0, 90.0], [2.0, 0.0, 5.0, 90.0]]))
    head = make_head(num_classes=1).eval()
    head.predict = lambda feature, boxes: (
        torch.tensor([[3.0, 0.0], [2.0, 0.0]]),
        torch.zeros(2, 4),
    )
    images = torch.zeros(1, 3, *SIZE)

    def count(images: ImageList) -> int:
        ([instances], _) = head(images, {"feat": None}, [rois])
        return len(instances)

    assert count(ImageList(images, [SIZE])) == 1
    assert count(ScaledImageList(images, [SIZE], [1.0])) == 1
    assert count(ScaledImageList(images, [SIZE], [1 / 8])) == 2


def test_no_detections():
    instances = detect(make_head(num_classes=1), [[0.0, 0.0, 9.0, 9.0]], [[-9.0, 9.0]])
    assert len(instances) == 0
    assert instances.pred_boxes.tensor.shape == (0, 4)


def test_it_is_built_from_a_config(tiny_cfg: CfgNode):
    tiny_cfg.MODEL.ROI_HEADS.NAME = "LegacyRFCNROIHeads"
    head = build_roi_heads(tiny_cfg, {"feat": ShapeSpec(channels=16, stride=16)})
    assert isinstance(head, LegacyRFCNROIHeads)
    assert isinstance(head.box2box_transform, LegacyBox2BoxTransform)
    assert head.box2box_transform.weights == (10.0, 10.0, 5.0, 5.0)
