"""Draws detections into frames."""

from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.structures import Instances
from detectron2.utils.colormap import colormap

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_instances(
    frame: np.ndarray,
    instances: Instances,
    class_names: Sequence[str] = (),
    min_score: float = 0.0,
) -> np.ndarray:
    """Draws boxes with class and score, a color for each class, higher scores on top.

    Args:
        frame: BGR image, uint8, (H, W, 3). It is left as it is.
        instances: `pred_boxes` (N) in pixels of the frame, `pred_classes` (N) and `scores` (N).
        class_names: a name for each class; classes beyond are shown by number.
        min_score: instances of a lower score are left out.

    Returns:
        The annotated frame, of the same kind.
    """
    frame = np.ascontiguousarray(frame).copy()
    instances = instances.to("cpu")
    for i in instances.scores.argsort():
        score, label = float(instances.scores[i]), int(instances.pred_classes[i])
        if score < min_score:
            continue
        name = class_names[label] if label < len(class_names) else f"class {label}"
        box = instances.pred_boxes.tensor[i].round().int().tolist()
        draw_box(frame, box, f"{name} {score:.0%}", class_color(label))
    return frame


def class_color(label: int) -> tuple[int, int, int]:
    """The BGR color, 0 to 255, of class number `label`: always the same."""
    colors = colormap(rgb=False)
    # Neighbors in the color map are alike; a step of 5 visits all of it.
    blue, green, red = colors[label * 5 % len(colors)]
    return int(blue), int(green), int(red)


def draw_box(frame: np.ndarray, box: Sequence[int], text: str, color: tuple[int, int, int]) -> None:
    """Draws one box with a label into a frame, which changes.

    Args:
        frame: BGR image, uint8, (H, W, 3).
        box: x1 y1 x2 y2, pixels.
        text: the label.
        color: BGR, 0 to 255.
    """
    height, width = frame.shape[:2]
    # One line at 300 pixels, three at 900.
    thickness = max(1, round(min(height, width) / 300))
    x1, y1, x2, y2 = box
    cv2.rectangle(frame, (x1, y1), (x2, y2), color, thickness)

    scale = max(0.35, min(height, width) / 1000)
    (text_width, text_height), descent = cv2.getTextSize(text, _FONT, scale, 1)
    # Above the box, or inside of it where the frame ends, and never outside of the frame.
    left = min(max(x1, 0), max(width - text_width, 0))
    bottom = y1 if y1 >= text_height + descent else max(y1, 0) + text_height + descent
    top = bottom - text_height - descent
    cv2.rectangle(frame, (left, top), (left + text_width, bottom), color, cv2.FILLED)
    luma = 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2]
    ink = (0, 0, 0) if luma > 127 else (255, 255, 255)
    cv2.putText(frame, text, (left, bottom - descent), _FONT, scale, ink, 1, cv2.LINE_AA)
