"""From the feature to detections, through the parts of a model that torch.export follows."""

import torch.nn.functional as F
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.roi_heads import StandardROIHeads
from detectron2.modeling.roi_heads.fast_rcnn import FastRCNNOutputLayers
from torch import Tensor, nn

from fgfa.errors import InputError
from fgfa.modeling.legacy import LegacyRFCNROIHeads, LegacyRPN
from fgfa.modeling.res5_map_head import Res5MapROIHeads
from fgfa.modeling.rfcn_head import RFCNROIHeads

from .selection import select_detections, select_proposals

Detections = tuple[Tensor, Tensor, Tensor]


class ProposalProgram(nn.Module):
    """Maps a feature (1, C, h, w) to proposals (P, 4), XYXY in pixels of the network's input."""

    def __init__(self, rpn: nn.Module, image_size: tuple[int, int]) -> None:
        """
        Args:
            rpn: Detectron2's `RPN`, or `LegacyRPN`.
            image_size: height and width of the resized frame, pixels.

        Raises:
            InputError: for others.
        """
        super().__init__()
        if type(rpn) not in (RPN, LegacyRPN):
            raise InputError(
                f"MODEL.PROPOSAL_GENERATOR.NAME {type(rpn).__name__} cannot be exported; "
                "use RPN or LegacyRPN"
            )
        self.rpn = rpn
        self.image_size = image_size

    def forward(self, feature: Tensor) -> Tensor:
        rpn = self.rpn
        anchors = rpn.anchor_generator([feature])
        (logits,), (deltas,) = rpn.rpn_head([feature])
        logits = logits.permute(0, 2, 3, 1).flatten(1)  # (1, h * w * anchors of a cell)
        deltas = deltas.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)
        if isinstance(rpn, LegacyRPN):
            (chosen,) = rpn.predict_proposals(anchors, [logits], [deltas], [self.image_size])
            return chosen.proposal_boxes.tensor
        (boxes,) = rpn._decode_proposals(anchors, [deltas])
        return select_proposals(
            boxes[0],
            logits[0],
            image_size=self.image_size,
            nms_thresh=rpn.nms_thresh,
            pre_nms_topk=rpn.pre_nms_topk[False],
            post_nms_topk=rpn.post_nms_topk[False],
            min_box_size=rpn.min_box_size,
        )


class RFCNProgram(nn.Module):
    """Maps a feature (1, C, h, w) and proposals (P, 4) to detections, with `RFCNROIHeads`."""

    def __init__(self, heads: RFCNROIHeads, image_size: tuple[int, int], scale: float) -> None:
        """
        Args:
            heads: `RFCNROIHeads` or `LegacyRFCNROIHeads`.
            image_size: height and width of the resized frame, pixels.
            scale: factor by which the frame was resized, for `LegacyRFCNROIHeads`.
        """
        super().__init__()
        self.heads = heads
        self.image_size = image_size
        self.scale = scale

    def forward(self, feature: Tensor, proposals: Tensor) -> Detections:
        heads = self.heads
        logits, deltas = heads.predict(feature, [proposals])
        boxes = heads.box2box_transform.apply_deltas(deltas, proposals)
        scores = F.softmax(logits, dim=1)
        if isinstance(heads, LegacyRFCNROIHeads):
            return heads.choose(boxes, scores, self.image_size, self.scale)
        return select_detections(
            boxes,
            scores,
            image_size=self.image_size,
            score_thresh=heads.test_score_thresh,
            nms_thresh=heads.test_nms_thresh,
            topk=heads.test_topk_per_image,
        )


class FasterRCNNProgram(nn.Module):
    """Maps a feature (1, C, h, w) and proposals (P, 4) to detections, with `StandardROIHeads`."""

    def __init__(self, heads: StandardROIHeads, image_size: tuple[int, int]) -> None:
        """
        Args:
            heads: `StandardROIHeads` or `Res5MapROIHeads`, without masks and keypoints.
            image_size: height and width of the resized frame, pixels.

        Raises:
            InputError: for parts that Detectron2 has as well, but that cannot be exported.
        """
        super().__init__()
        predictor = heads.box_predictor
        parts = {
            "MODEL.MASK_ON": heads.mask_on,
            "MODEL.KEYPOINT_ON": heads.keypoint_on,
            "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": predictor.use_sigmoid_ce,
            f"the predictor {type(predictor).__name__}": type(predictor)
            is not FastRCNNOutputLayers,
        }
        for part, is_used in parts.items():
            if is_used:
                raise InputError(f"{part} cannot be exported; turn it off")
        self.heads = heads
        self.image_size = image_size

    def forward(self, feature: Tensor, proposals: Tensor) -> Detections:
        heads, predictor = self.heads, self.heads.box_predictor
        if isinstance(heads, Res5MapROIHeads):
            feature = heads.reduction(heads.res5(feature))
        (pool,) = heads.box_pooler.level_poolers
        rois = F.pad(proposals, (1, 0))  # the first column is the index of the image
        logits, deltas = predictor(heads.box_head(pool(feature, rois)))
        return select_detections(
            predictor.box2box_transform.apply_deltas(deltas, proposals),
            F.softmax(logits, dim=1),
            image_size=self.image_size,
            score_thresh=predictor.test_score_thresh,
            nms_thresh=predictor.test_nms_thresh,
            topk=predictor.test_topk_per_image,
        )


def roi_program(heads: nn.Module, image_size: tuple[int, int], scale: float) -> nn.Module:
    """The program of a model's RoI heads; see `RFCNProgram`.

    Raises:
        InputError: for RoI heads that cannot be exported.
    """
    if type(heads) in (RFCNROIHeads, LegacyRFCNROIHeads):
        return RFCNProgram(heads, image_size, scale)
    if type(heads) in (StandardROIHeads, Res5MapROIHeads):
        return FasterRCNNProgram(heads, image_size)
    raise InputError(
        f"MODEL.ROI_HEADS.NAME {type(heads).__name__} cannot be exported; use RFCNROIHeads, "
        "LegacyRFCNROIHeads, StandardROIHeads or Res5MapROIHeads"
    )
