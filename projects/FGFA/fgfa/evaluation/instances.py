"""Detections of a frame: from Detectron2's `Instances` to rows of a table."""

import numpy as np
from detectron2.structures import Instances

from fgfa.evaluation.records import Detections


def detections_of(image_id: int, instances: Instances) -> Detections:
    """Makes a row of each instance.

    Args:
        image_id: of the frame.
        instances: `pred_boxes` (N), `pred_classes` (N) and `scores` (N), on any device.
    """
    boxes = instances.pred_boxes.tensor.detach().cpu().numpy()
    return Detections(
        np.full(len(boxes), image_id, np.int64),
        instances.pred_classes.cpu().numpy().astype(np.int64),
        instances.scores.detach().cpu().numpy().astype(np.float64),
        boxes.astype(np.float64),
    )
