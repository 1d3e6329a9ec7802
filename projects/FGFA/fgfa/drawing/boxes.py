"""Draws detections into frames."""

from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.structures import Instances
from detectron2.utils.colormap import colormap

from .lettering import Color, frame_text_scale, ink_on, text_size, write


def draw_instances(
    frame: np.ndarray,
    instances: Instances,
    class_names: Sequence[str] = (),
    min_score: float = 0.0,
) -> np.ndarray:
    """Draws boxes with class and score, higher scores on top.

    Each class has its color. Where the boxes belong to tracks, each track has one, and its number
    is in the label: "#3 car 66%".

    Args:
        frame: BGR image, uint8, (H, W, 3). It is left as it is.
        instances: `pred_boxes` (N) in pixels of the frame, `pred_classes` (N), `scores` (N), and
            maybe `track_ids` (N), from 1.
        class_names: a name for each class; classes beyond are shown by number.
        min_score: instances of a lower score are left out.

    Returns:
        The annotated frame, of the same kind.
    """
    frame = np.ascontiguousarray(frame).copy()
    instances = instances.to("cpu")
    for i in instances.scores.argsort(stable=True):
        score, label = float(instances.scores[i]), int(instances.pred_classes[i])
        if score < min_score:
            continue
        text = class_names[label] if label < len(class_names) else f"class {label}"
        color = class_color(label)
        if instances.has("track_ids"):
            track = int(instances.track_ids[i])
            text, color = f"#{track} {text}", track_color(track)
        box = instances.pred_boxes.tensor[i].round().int().tolist()
        draw_box(frame, box, f"{text} {score:.0%}", color)
    return frame


def class_color(label: int) -> Color:
    """The BGR color, 0 to 255, of class number `label`: always the same."""
    colors = colormap(rgb=False)
    # Neighbors in the color map are alike; a step of 5 visits all of it.
    blue, green, red = colors[label * 5 % len(colors)]
    return int(blue), int(green), int(red)


def track_color(track: int) -> Color:
    """The BGR color, 0 to 255, of track number `track`, from 1: always the same."""
    return class_color(track - 1)


def draw_box(frame: np.ndarray, box: Sequence[int], text: str, color: Color) -> None:
    """Draws one box with a label into a frame, which changes.

    Args:
        frame: BGR image, uint8, (H, W, 3).
        box: x1 y1 x2 y2, pixels.
        text: the label.
        color: BGR, 0 to 255.
    """
    height, width = frame.shape[:2]
    # Two pixels at a height of 480, three at 720.
    thickness = max(1, round(min(height, width) / 240))
    x1, y1, x2, y2 = box
    cv2.rectangle(frame, (x1, y1), (x2, y2), color, thickness)

    scale = frame_text_scale(height, width)
    _, text_height = text_size(text, scale)
    # Above the box, or inside of it where the frame ends.
    top = y1 - text_height if y1 >= text_height else max(y1, 0)
    write(frame, text, x1, top, scale, ink_on(color), fill=color)
