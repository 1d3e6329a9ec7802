"""The way of detections from pixels of the network's input back to pixels of the frames."""

import copy
from collections.abc import Mapping, Sequence

from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Instances


def to_frame_pixels(
    instances: Instances, height: int, width: int, image_scale: float | None = None
) -> Instances:
    """Detections in pixels of the frame.

    Args:
        instances: detections in an image, `pred_boxes` in its pixels; they may be changed.
        height: of the frame, pixels.
        width: of the frame, pixels.
        image_scale: factor by which the frame was resized. Boxes are then divided by it and neither
            clipped nor dropped: one that ends where it begins is one pixel wide (`im_detect` in
            `core/tester.py` of the original). Without it they are rescaled as Detectron2 does.
    """
    if image_scale is None:
        return detector_postprocess(instances, height, width)
    # A new `Boxes` would turn float64 into float32.
    boxes = copy.copy(instances.pred_boxes)
    boxes.tensor = boxes.tensor / image_scale
    return Instances((height, width), **instances.get_fields() | {"pred_boxes": boxes})


def postprocess(results: Sequence[Instances], batched_inputs: Sequence[Mapping]) -> list[dict]:
    """What a model returns for a batch.

    Args:
        results: detections of each image, in its pixels.
        batched_inputs: for each image `height` and `width` of its frame, or of the image where they
            are absent, and `image_scale`, see `to_frame_pixels`.

    Returns:
        For each image a dict with `instances`.
    """
    return [
        {
            "instances": to_frame_pixels(
                instances,
                item.get("height", instances.image_size[0]),
                item.get("width", instances.image_size[1]),
                item.get("image_scale"),
            )
        }
        for instances, item in zip(results, batched_inputs, strict=True)
    ]
