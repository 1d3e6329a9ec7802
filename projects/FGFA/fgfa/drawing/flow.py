"""Draws flow over the frame that it starts from."""

import cv2
import numpy as np
import torch

from .color_scales import flow_colors, flow_wheel, round_up
from .lettering import BLACK, WHITE, frame_text_scale, text_size, write
from .overlay import cell_size, tint


def draw_flow(frame: np.ndarray, flow: torch.Tensor, longest: float | None = None) -> np.ndarray:
    """Colors a frame by its flow: hue is direction, saturation length, gray what stands still.

    A color wheel in the lower right corner is the legend. Its rim is the length of full color, in
    pixels of the frame.

    Args:
        frame: BGR, uint8, (H, W, 3), the key frame. It is left as it is.
        flow: (2, h, w), in cells of the map, x first, from the key frame to another.
        longest: length of full color, pixels of the frame. Without it the length of the longest
            flow, rounded up to one of few numbers, so that the frames of a video, most of the
            time, look alike where they move alike.

    Returns:
        BGR, uint8, (H, W, 3).
    """
    height, width = frame.shape[:2]
    pixels = flow * cell_size((height, width), tuple(flow.shape[-2:]))
    if longest is None:
        longest = full_length(pixels)
    drawn = tint(frame, flow_colors(pixels, longest))
    draw_wheel(drawn, longest)
    return drawn


def full_length(flow: torch.Tensor) -> float:
    """The length of full color for flow (..., 2, h, w): its longest, rounded up."""
    return round_up(float(flow.norm(dim=-3).max()))


def draw_wheel(image: np.ndarray, longest: float) -> None:
    """Draws the legend of flow into the lower right corner of an image, which changes."""
    height, width = image.shape[:2]
    diameter = max(min(min(height, width) // 5, height, width), 1)
    margin = min(diameter // 8, height - diameter, width - diameter)
    top, left = height - margin - diameter, width - margin - diameter
    corner = image[top : top + diameter, left : left + diameter]
    corner[:] = flow_wheel(diameter, corner)
    center = (left + diameter // 2, top + diameter // 2)
    cv2.circle(image, center, diameter // 2, BLACK, 1, cv2.LINE_AA)

    scale = frame_text_scale(height, width)
    text = f"{longest:g} px"
    text_width, text_height = text_size(text, scale)
    if text_width + diameter + 2 * margin <= width:
        text_left = left - margin - text_width
        write(image, text, text_left, center[1] - text_height // 2, scale, WHITE, fill=BLACK)
