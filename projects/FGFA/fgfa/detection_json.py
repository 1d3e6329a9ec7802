"""Detections of one frame as plain values, which `json` can write."""

from collections.abc import Sequence
from typing import Any

from detectron2.structures import Instances


def detection_record(
    frame_index: int,
    instances: Instances,
    class_names: Sequence[str],
    *,
    seconds: float | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """The detections of a frame, best score first, as

        {"frame": 12, "seconds": 0.48, "name": "a/b.jpg", "detections": [
            {"class": "car", "class_id": 5, "score": 0.91, "box": [x1, y1, x2, y2], "track": 3}]}

    "seconds", "name" and "track" are there where they are known.

    Args:
        frame_index: number of the frame in its video, from 0.
        instances: `pred_boxes` (N) in pixels of the frame, `pred_classes` (N), `scores` (N), and
            perhaps `track_ids` (N).
        class_names: a name for each class; classes beyond are called by number.
        seconds: time of the frame in its video, kept to 0.0001.
        name: name of the frame, such as that of its file.

    Returns:
        The record: scores to 0.00001, boxes to 0.01 pixels, classes from 0.
    """
    record: dict[str, Any] = {"frame": frame_index}
    if seconds is not None:
        record["seconds"] = round(seconds, 4)
    if name is not None:
        record["name"] = name
    instances = instances.to("cpu")
    order = instances.scores.argsort(descending=True, stable=True)
    record["detections"] = _detections(instances[order], class_names)
    return record


def _detections(instances: Instances, class_names: Sequence[str]) -> list[dict[str, Any]]:
    labels = instances.pred_classes.tolist()
    boxes = instances.pred_boxes.tensor.tolist()
    detections = [
        {
            "class": class_names[label] if label < len(class_names) else f"class {label}",
            "class_id": label,
            "score": round(score, 5),
            "box": [round(side, 2) for side in box],
        }
        for label, score, box in zip(labels, instances.scores.tolist(), boxes, strict=True)
    ]
    if instances.has("track_ids"):
        for detection, track in zip(detections, instances.track_ids.tolist(), strict=True):
            detection["track"] = track
    return detections
