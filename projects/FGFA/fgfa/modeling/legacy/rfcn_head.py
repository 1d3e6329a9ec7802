"""The R-FCN head with the box arithmetic of the original."""

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY
from detectron2.structures import Boxes, ImageList, Instances

from fgfa.modeling.rfcn_head import RFCNROIHeads
from fgfa.modeling.scaled_images import ScaledImageList

from .boxes import LegacyBox2BoxTransform, clip_boxes, nms, pairwise_iou


@ROI_HEADS_REGISTRY.register()
class LegacyRFCNROIHeads(RFCNROIHeads):
    """`RFCNROIHeads` with widths of x2 - x1 + 1 in matching, box deltas, clipping and NMS.

    Detections are clipped to the last pixel of the image and not dropped where they are one pixel
    wide. NMS measures them in pixels of the frame before it was resized, which `ScaledImageList`
    tells. Those that tie with the last of the best `test_topk_per_image` stay. (`core/tester.py` of
    the original.)
    """

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict:
        transform = LegacyBox2BoxTransform(cfg.MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS)
        return super().from_config(cfg, input_shape) | {"box2box_transform": transform}

    def match_quality(self, gt_boxes: Boxes, rois: Boxes) -> torch.Tensor:
        return pairwise_iou(gt_boxes.tensor, rois.tensor)

    def inference(
        self,
        logits: torch.Tensor,
        deltas: torch.Tensor,
        proposals: list[Instances],
        images: ImageList | None = None,
    ) -> list[Instances]:
        """See `RFCNROIHeads.inference`; without `ScaledImageList` frames were not resized."""
        rois = torch.cat([p.proposal_boxes.tensor for p in proposals])
        counts = [len(p) for p in proposals]
        boxes = self.box2box_transform.apply_deltas(deltas, rois).split(counts)
        scores = F.softmax(logits, dim=1).split(counts)
        sizes = [p.image_size for p in proposals]
        is_scaled = isinstance(images, ScaledImageList)
        scales = images.image_scales if is_scaled else [1.0] * len(sizes)
        return [
            _to_instances(size, *self.choose(*of_image, size, scale))
            for *of_image, size, scale in zip(boxes, scores, sizes, scales, strict=True)
        ]

    def choose(
        self,
        boxes: torch.Tensor,
        scores: torch.Tensor,
        image_size: tuple[int, int],
        image_scale: float,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The detections of an image, best first.

        No branch depends on what is in the tensors, so that `fgfa.export` can use it.

        Args:
            boxes: shape (R, 4), XYXY in pixels of the network's input.
            scores: shape (R, classes + 1), background last.
            image_size: height and width of the image without padding, pixels.
            image_scale: factor by which the frame was resized.

        Returns:
            Boxes (N, 4), scores (N,) and classes (N,).
        """
        boxes = clip_boxes(boxes, image_size)
        roi, label = self._keep_after_nms(boxes / image_scale, scores)
        kept_scores = scores[roi, label]
        if self.test_topk_per_image >= 0:
            # Any number is enough where there are fewer than are asked for.
            filled = F.pad(kept_scores, (0, self.test_topk_per_image), value=-torch.inf)
            least = filled.topk(self.test_topk_per_image).values[-1]
            enough = (kept_scores >= least).nonzero().squeeze(1)
            roi, label, kept_scores = roi[enough], label[enough], kept_scores[enough]
        order = kept_scores.argsort(descending=True, stable=True)
        return boxes[roi[order]], kept_scores[order], label[order]

    def _keep_after_nms(
        self, boxes: torch.Tensor, scores: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """RoI and class of each detection that passes the threshold and its class's NMS."""
        kept = []
        for label in range(self.num_classes):
            candidates = (scores[:, label] > self.test_score_thresh).nonzero().squeeze(1)
            best = nms(boxes[candidates], scores[candidates, label], self.test_nms_thresh)
            kept.append(candidates[best])
        classes = [torch.full_like(rois, label) for label, rois in enumerate(kept)]
        return torch.cat(kept), torch.cat(classes)


def _to_instances(
    image_size: tuple[int, int], boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor
) -> Instances:
    return Instances(image_size, pred_boxes=Boxes(boxes), scores=scores, pred_classes=classes)
