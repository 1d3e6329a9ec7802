"""Which proposals and detections stay, in a form that torch.export can follow.

The results are those of Detectron2's `find_top_rpn_proposals` and `fast_rcnn_inference`, whose
Python branches depend on what is in the tensors.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .nms import nms


def select_proposals(
    boxes: Tensor,
    logits: Tensor,
    *,
    image_size: tuple[int, int],
    nms_thresh: float,
    pre_nms_topk: int,
    post_nms_topk: int,
    min_box_size: float,
) -> Tensor:
    """The proposals of one feature map, best first.

    Args:
        boxes: shape (A, 4), decoded from the anchors, XYXY in pixels of the network's input.
        logits: shape (A,), of an object in each of them.
        image_size: height and width of the image without padding, pixels.
        nms_thresh: IoU above which the lower-scored of two boxes is dropped.
        pre_nms_topk: boxes that go into NMS, at most.
        post_nms_topk: proposals, at most.
        min_box_size: boxes with a side of this length or less are dropped, pixels.

    Returns:
        Boxes (P, 4).
    """
    logits, best = logits.topk(min(len(logits), pre_nms_topk))
    boxes = boxes[best]
    is_finite = boxes.isfinite().all(dim=1) & logits.isfinite()
    boxes = clip(boxes, image_size)
    kept = (is_finite & has_area(boxes, min_box_size)).nonzero().squeeze(1)
    boxes, logits = boxes[kept], logits[kept]
    return boxes[nms(boxes, logits, nms_thresh)[:post_nms_topk]]


def select_detections(
    boxes: Tensor,
    scores: Tensor,
    *,
    image_size: tuple[int, int],
    score_thresh: float,
    nms_thresh: float,
    topk: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The detections of an image, best first.

    Args:
        boxes: shape (P, 4), or (P, classes * 4) where each class has boxes of its own; XYXY in
            pixels of the network's input.
        scores: shape (P, classes + 1), background last.
        image_size: height and width of the image without padding, pixels.
        score_thresh: detections at or below this score are dropped.
        nms_thresh: IoU above which the lower-scored of two boxes of a class is dropped.
        topk: detections, at most; any number where it is below 0.

    Returns:
        Boxes (N, 4), scores (N,) and classes (N,).
    """
    is_finite = boxes.isfinite().all(dim=1) & scores.isfinite().all(dim=1)
    scores = scores.masked_fill(~is_finite[:, None], -torch.inf)[:, :-1]
    roi, classes = (scores > score_thresh).nonzero().unbind(dim=1)
    boxes = boxes.unflatten(1, (-1, 4))
    boxes = clip(boxes[roi, classes] if boxes.shape[1] > 1 else boxes[roi, 0], image_size)
    scores = scores[roi, classes]
    kept = nms_by_class(boxes, scores, classes, nms_thresh)
    kept = kept[:topk] if topk >= 0 else kept
    return boxes[kept], scores[kept], classes[kept]


def nms_by_class(boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float) -> Tensor:
    """Indices of what NMS keeps of boxes (N, 4), best first.

    Boxes of different classes are moved apart, with the same rounding as torchvision's
    `batched_nms` does it. That takes class by class from 1000 boxes on a CPU, where an IoU within
    1e-4 or so of the threshold may then fall on the other side.
    """
    largest = F.pad(boxes.flatten(), (0, 1)).max()  # also where there is no box
    shift = classes.to(boxes.dtype) * (largest + 1)
    return nms(boxes + shift[:, None], scores, threshold)


def clip(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Moves corners of boxes (N, 4) to the nearest point of an image of (height, width)."""
    height, width = image_size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def has_area(boxes: Tensor, min_size: float = 0.0) -> Tensor:
    """Whether both sides of boxes (N, 4) are above a size, (N,)."""
    return (boxes[:, 2:] - boxes[:, :2] > min_size).all(dim=1)
