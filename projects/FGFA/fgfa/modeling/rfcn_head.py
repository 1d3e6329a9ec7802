"""The R-FCN head: position-sensitive pooling, class-agnostic boxes, online hard example mining."""

from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec, cat
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.proposal_generator.proposal_utils import add_ground_truth_to_proposals
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, ROIHeads
from detectron2.modeling.roi_heads.fast_rcnn import fast_rcnn_inference
from detectron2.structures import Boxes, ImageList, Instances, pairwise_iou
from detectron2.utils.events import get_event_storage
from fvcore.nn import smooth_l1_loss
from torch import nn

from fgfa.layers import PSROIPool


@ROI_HEADS_REGISTRY.register()
class RFCNROIHeads(ROIHeads):
    """R-FCN (Dai et al., 2016) on the second half of the feature's channels.

    A 1x1 convolution gives a score map for every class and cell of a grid over the RoI; a RoI's
    score is the mean over its cells, each pooled from the map of its own. Boxes are class-agnostic.
    In training every RoI is evaluated and the hardest ones are learned from, so Detectron2's
    `ROI_HEADS.BATCH_SIZE_PER_IMAGE` and `POSITIVE_FRACTION` have no effect here.

    Source: `get_train_symbol` and `operator_py/box_annotator_ohem.py` of the original.
    """

    @configurable
    def __init__(
        self,
        *,
        in_feature: str,
        in_channels: int,
        spatial_scale: float,
        grid_size: int,
        ohem_rois: int,
        box2box_transform: Box2BoxTransform,
        smooth_l1_beta: float,
        test_score_thresh: float,
        test_nms_thresh: float,
        test_topk_per_image: int,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            in_feature: name of the feature to use.
            in_channels: channels of that feature; the head reads the second half of them.
            spatial_scale: feature cells a pixel, 1 / stride.
            grid_size: cells of the position-sensitive grid along each side of a RoI.
            ohem_rois: RoIs of highest loss in an image that are learned from.
            box2box_transform: encodes boxes as deltas to RoIs.
            smooth_l1_beta: where the box loss turns from quadratic to linear.
            test_score_thresh: detections at or below this score are dropped.
            test_nms_thresh: IoU above which the lower-scored of two boxes of a class is dropped.
            test_topk_per_image: most detections of an image.
            **kwargs: arguments of Detectron2's `ROIHeads`.
        """
        super().__init__(**kwargs)
        self.in_feature = in_feature
        self.half_channels = in_channels // 2
        self.ohem_rois = ohem_rois
        self.box2box_transform = box2box_transform
        self.smooth_l1_beta = smooth_l1_beta
        self.test_score_thresh = test_score_thresh
        self.test_nms_thresh = test_nms_thresh
        self.test_topk_per_image = test_topk_per_image
        cells = grid_size**2
        self.score_maps = nn.Conv2d(self.half_channels, (self.num_classes + 1) * cells, 1)
        self.delta_maps = nn.Conv2d(self.half_channels, 4 * cells, 1)
        self.pool = PSROIPool(grid_size, spatial_scale)
        for layer in (self.score_maps, self.delta_maps):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict:
        args = super().from_config(cfg)
        (in_feature,) = cfg.MODEL.ROI_HEADS.IN_FEATURES
        return args | {
            "in_feature": in_feature,
            "in_channels": input_shape[in_feature].channels,
            "spatial_scale": 1.0 / input_shape[in_feature].stride,
            "grid_size": cfg.MODEL.RFCN_HEAD.GRID_SIZE,
            "ohem_rois": cfg.MODEL.RFCN_HEAD.OHEM_ROIS,
            "box2box_transform": Box2BoxTransform(weights=cfg.MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS),
            "smooth_l1_beta": cfg.MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA,
            "test_score_thresh": cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST,
            "test_nms_thresh": cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST,
            "test_topk_per_image": cfg.TEST.DETECTIONS_PER_IMAGE,
        }

    def forward(
        self,
        images: ImageList,
        features: dict[str, torch.Tensor],
        proposals: list[Instances],
        targets: list[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, torch.Tensor]]:
        """See Detectron2's `ROIHeads.forward`; in training the returned instances are proposals."""
        if self.training:
            proposals = self.label_and_sample_proposals(proposals, targets)
        boxes = [p.proposal_boxes.tensor for p in proposals]
        logits, deltas = self.predict(features[self.in_feature], boxes)
        if self.training:
            return proposals, self.losses(logits, deltas, proposals)
        return self.inference(logits, deltas, proposals, images), {}

    def predict(
        self, feature: torch.Tensor, boxes: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores and box deltas of RoIs.

        Args:
            feature: shape (N, in_channels, H, W).
            boxes: for each image its RoIs, shape (R_i, 4), XYXY in pixels of the network's input.

        Returns:
            Class logits of shape (R, classes + 1), background last, and deltas of shape (R, 4).
        """
        half = feature[:, -self.half_channels :]
        # In the half precision of autocast scores would be equal in their few digits.
        dtype = torch.promote_types(feature.dtype, torch.float32)
        logits = self.pool(self.score_maps(half), boxes).mean(dim=(2, 3), dtype=dtype)
        deltas = self.pool(self.delta_maps(half), boxes).mean(dim=(2, 3), dtype=dtype)
        return logits, deltas

    @torch.no_grad()
    def label_and_sample_proposals(
        self, proposals: list[Instances], targets: list[Instances]
    ) -> list[Instances]:
        """Labels every RoI, in order: hard example mining chooses among all of them."""
        if self.proposal_append_gt:
            proposals = add_ground_truth_to_proposals(targets, proposals)
        labeled = [self._label(*pair) for pair in zip(proposals, targets, strict=True)]
        classes = cat([rois.gt_classes for rois in labeled])
        foreground = (classes < self.num_classes).sum().item()
        storage = get_event_storage()
        storage.put_scalar("roi_head/num_fg_samples", foreground / len(labeled))
        storage.put_scalar("roi_head/num_bg_samples", (len(classes) - foreground) / len(labeled))
        return labeled

    def _label(self, rois: Instances, objects: Instances) -> Instances:
        """Adds the class of each RoI, and its object's box where the image has objects."""
        matches, labels = self.proposal_matcher(
            self.match_quality(objects.gt_boxes, rois.proposal_boxes)
        )
        rois.gt_classes = torch.full_like(matches, self.num_classes)
        if len(objects) > 0:
            is_object = labels == 1
            rois.gt_classes[is_object] = objects.gt_classes[matches[is_object]]
            rois.gt_boxes = objects.gt_boxes[matches]
        return rois

    def match_quality(self, gt_boxes: Boxes, rois: Boxes) -> torch.Tensor:
        """How well objects (M) and RoIs (R) agree, from 0 to 1, shape (M, R)."""
        return pairwise_iou(gt_boxes, rois)

    def losses(
        self, logits: torch.Tensor, deltas: torch.Tensor, proposals: list[Instances]
    ) -> dict[str, torch.Tensor]:
        """Losses of the RoIs that OHEM keeps.

        Args:
            logits: shape (R, classes + 1).
            deltas: shape (R, 4).
            proposals: for each image its labeled RoIs (`gt_classes`, and `gt_boxes` where there
                is a ground truth box).

        Returns:
            `loss_cls`, the mean cross entropy of the kept RoIs, and `loss_box_reg`, the summed
            smooth L1 of the kept foreground RoIs over `ohem_rois` and images.
        """
        classes = cat([p.gt_classes for p in proposals])
        cls_loss = F.cross_entropy(logits, classes, reduction="none")
        box_loss = self._box_losses(deltas, classes, proposals)
        with torch.no_grad():
            kept = self._hardest(cls_loss + box_loss, [len(p) for p in proposals])
        return {
            "loss_cls": cls_loss[kept].sum() / max(len(kept), 1),
            "loss_box_reg": box_loss[kept].sum() / (self.ohem_rois * len(proposals)),
        }

    def _box_losses(
        self, deltas: torch.Tensor, classes: torch.Tensor, proposals: list[Instances]
    ) -> torch.Tensor:
        rois = cat([p.proposal_boxes.tensor for p in proposals])
        matched = cat(
            [(p.gt_boxes if p.has("gt_boxes") else p.proposal_boxes).tensor for p in proposals]
        )
        foreground = (classes < self.num_classes).nonzero().squeeze(1)
        targets = self.box2box_transform.get_deltas(rois[foreground], matched[foreground])
        losses = smooth_l1_loss(deltas[foreground], targets, self.smooth_l1_beta).sum(dim=1)
        return deltas.new_zeros(len(deltas)).index_put((foreground,), losses)

    def _hardest(self, losses: torch.Tensor, rois_per_image: list[int]) -> torch.Tensor:
        """Indices of the RoIs of highest loss, at most `ohem_rois` of each image."""
        kept, start = [], 0
        for image_losses in losses.split(rois_per_image):
            order = torch.argsort(image_losses, descending=True, stable=True)
            kept.append(order[: self.ohem_rois] + start)
            start += len(image_losses)
        return cat(kept)

    def inference(
        self,
        logits: torch.Tensor,
        deltas: torch.Tensor,
        proposals: list[Instances],
        images: ImageList | None = None,
    ) -> list[Instances]:
        """Detections of each image: thresholded, after per-class NMS, at most topk of them.

        Args:
            logits: shape (R, classes + 1), background last.
            deltas: shape (R, 4).
            proposals: for each image its RoIs.
            images: for heads that need to know more of the images than their sizes.
        """
        counts = [len(p) for p in proposals]
        rois = cat([p.proposal_boxes.tensor for p in proposals])
        boxes = self.box2box_transform.apply_deltas(deltas, rois).split(counts)
        scores = F.softmax(logits, dim=1).split(counts)
        instances, _ = fast_rcnn_inference(
            boxes,
            scores,
            [p.image_size for p in proposals],
            self.test_score_thresh,
            self.test_nms_thresh,
            self.test_topk_per_image,
        )
        return instances
