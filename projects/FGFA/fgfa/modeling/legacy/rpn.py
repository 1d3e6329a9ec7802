"""The region proposal network of the original."""

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling.proposal_generator import PROPOSAL_GENERATOR_REGISTRY, RPN
from detectron2.structures import Boxes, Instances

from .boxes import LegacyBox2BoxTransform, box_sides, clip_boxes, nms, pairwise_iou

# Probability of proposals that the original puts behind all others, but does not drop.
_LAST = -1.0


@PROPOSAL_GENERATOR_REGISTRY.register()
class LegacyRPN(RPN):
    """Detectron2's RPN with the box arithmetic, labels, losses and proposals of the original.

    * Boxes are x2 - x1 + 1 wide.
    * Anchors inside the image alone are matched with ground truth, so that the best of them learns
      from an object whose best anchor lies outside (`rpn/rpn.py`, `assign_anchor`).
    * The class loss is the mean over the sampled anchors, fewer than `batch_size_per_image` where
      the image has no more.
    * Anchors beyond the last whole cell of the image get the probability -1, as do boxes smaller
      than the least size, which also grow by it (`mx.contrib.sym.Proposal`).
    * An image always has as many proposals as asked for: they repeat where NMS leaves fewer.

    The sampled anchors are drawn by PyTorch's random generator, not by NumPy's.
    """

    @configurable
    def __init__(self, **kwargs) -> None:
        """Takes the arguments of `RPN`, of one feature map."""
        super().__init__(**kwargs)
        (self._stride,) = self.anchor_generator.strides

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict:
        # MXNet's operator decodes in float32, the original's own code after the head in float64.
        transform = LegacyBox2BoxTransform(cfg.MODEL.RPN.BBOX_REG_WEIGHTS, torch.float32)
        return super().from_config(cfg, input_shape) | {"box2box_transform": transform}

    @torch.no_grad()
    def label_and_sample_anchors(
        self, anchors: list[Boxes], gt_instances: list[Instances]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Labels (1, 0, or -1 where not sampled) and matched boxes (R, 4) for each image."""
        boxes = Boxes.cat(anchors)
        pairs = [self.match_anchors(boxes, objects) for objects in gt_instances]
        return [self._subsample_labels(labels) for labels, _ in pairs], [m for _, m in pairs]

    def match_anchors(
        self, anchors: Boxes, objects: Instances
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels (R,) of all anchors before sampling, and the boxes (R, 4) that they learn.

        Labels are 1 for an object, 0 for background, and -1 in between and outside of the image.
        """
        inside = anchors.inside_box(objects.image_size, self.anchor_boundary_thresh)
        gt_boxes = objects.gt_boxes.tensor
        matches, inside_labels = self.anchor_matcher(pairwise_iou(gt_boxes, anchors.tensor[inside]))
        labels = inside_labels.new_full((len(anchors),), -1)
        labels[inside] = inside_labels
        matched = anchors.tensor.clone()
        if len(gt_boxes) > 0:
            matched[inside] = gt_boxes[matches]
        return labels, matched

    def losses(
        self,
        anchors: list[Boxes],
        pred_objectness_logits: list[torch.Tensor],
        gt_labels: list[torch.Tensor],
        pred_anchor_deltas: list[torch.Tensor],
        gt_boxes: list[torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """See Detectron2's `RPN.losses`."""
        losses = super().losses(
            anchors, pred_objectness_logits, gt_labels, pred_anchor_deltas, gt_boxes
        )
        sampled = sum(int((labels >= 0).sum()) for labels in gt_labels)
        losses["loss_rpn_cls"] *= self.batch_size_per_image * len(gt_labels) / max(sampled, 1)
        return losses

    @torch.no_grad()
    def predict_proposals(
        self,
        anchors: list[Boxes],
        pred_objectness_logits: list[torch.Tensor],
        pred_anchor_deltas: list[torch.Tensor],
        image_sizes: list[tuple[int, int]],
    ) -> list[Instances]:
        """See Detectron2's `RPN.predict_proposals`."""
        (boxes,) = self._decode_proposals(anchors, pred_anchor_deltas)
        probabilities = pred_objectness_logits[0].float().sigmoid()
        return [
            self.choose_proposals(anchors[0], *of_image)
            for of_image in zip(boxes, probabilities, image_sizes, strict=True)
        ]

    def choose_proposals(
        self,
        anchors: Boxes,
        boxes: torch.Tensor,
        probabilities: torch.Tensor,
        image_size: tuple[int, int],
    ) -> Instances:
        """The proposals of an image, best first.

        Args:
            anchors: of the whole feature map, R.
            boxes: shape (R, 4), decoded from the anchors, XYXY in pixels.
            probabilities: shape (R,), of an object in each box.
            image_size: height and width of the image without padding, pixels.

        Returns:
            `proposal_boxes`, and `objectness_logits` with their probabilities, or -1 where the
            original puts a box last.
        """
        boxes = clip_boxes(boxes, image_size)
        small = (box_sides(boxes) < self.min_box_size).any(dim=1)
        margin = self.min_box_size / 2 * small[:, None]
        boxes = torch.cat([boxes[:, :2] - margin, boxes[:, 2:] + margin], dim=1)
        last = small | self._beyond_whole_cells(anchors, image_size)
        scores = probabilities.masked_fill(last, _LAST)

        order = scores.argsort(descending=True, stable=True)[: self.pre_nms_topk[self.training]]
        count = self.post_nms_topk[self.training]
        kept = order[nms(boxes[order], scores[order], self.nms_thresh)[:count]]
        kept = kept[torch.arange(count, device=kept.device) % kept.shape[0]]
        return Instances(
            image_size, proposal_boxes=Boxes(boxes[kept]), objectness_logits=scores[kept]
        )

    def _beyond_whole_cells(self, anchors: Boxes, image_size: tuple[int, int]) -> torch.Tensor:
        """Whether an anchor's cell is in a row or column that the image does not fill."""
        x, y = anchors.get_centers().unbind(dim=1)
        height, width = (side // self._stride * self._stride for side in image_size)
        return (x >= width) | (y >= height)
