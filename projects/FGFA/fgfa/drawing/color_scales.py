"""Colors of numbers: directions and lengths of flow, and factors above and below one."""

import math

import cv2
import numpy as np
import torch
from torchvision.utils import flow_to_image

# Steps from one round number to the next; few, so that a scale seldom changes within a video.
_ROUND = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
# Blue, white and red that readers with color-blindness tell apart (ColorBrewer, RdBu), in BGR.
_LESS, _EVEN, _MORE = (195, 125, 40), (255, 255, 255), (40, 60, 225)


def round_up(value: float) -> float:
    """The first number of 1, 1.5, 2, 3, 5, 7, 10, 15, ... that is not below `value`; at least 1."""
    if value <= 1:
        return 1.0
    # A length such as 3.0000001 is meant to be 3.
    value *= 1 - 1e-6
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _ROUND if step * power >= value)


def flow_colors(flow: torch.Tensor, longest: float) -> np.ndarray:
    """Directions as hue and lengths as saturation, in the usual color wheel.

    Args:
        flow: (2, h, w), x first.
        longest: the length, in the flow's unit, of full color. Longer flow looks the same.

    Returns:
        BGR, uint8, (h, w, 3); white where flow is zero.
    """
    flow = flow.detach().float().cpu() / longest
    flow = flow / flow.norm(dim=0).clamp(min=1)
    # torchvision gives full color to the longest flow that it sees: here to that of a column more.
    unit = torch.zeros_like(flow[:, :, :1])
    unit[0] = 1
    rgb = flow_to_image(torch.cat([flow, unit], dim=2))[:, :, :-1]
    return np.ascontiguousarray(rgb.flip(0).permute(1, 2, 0).numpy())


def flow_wheel(diameter: int, ground: np.ndarray) -> np.ndarray:
    """A disk with the color of each direction, zero flow in its center.

    Args:
        diameter: pixels.
        ground: what lies outside of the disk, BGR, uint8, (diameter, diameter, 3).
    """
    steps = torch.linspace(-1, 1, diameter) if diameter > 1 else torch.zeros(1)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    inside = (torch.hypot(x, y) <= 1).numpy()
    return np.where(inside[:, :, None], flow_colors(torch.stack([x, y]), 1.0), ground)


def factor_colors(factors: np.ndarray, limit: float) -> np.ndarray:
    """White at 1, blue below and red above, by the logarithm of the factor.

    Args:
        factors: any shape, not negative.
        limit: the factor, above 1, of full red; full blue is 1 / limit.

    Returns:
        BGR, uint8, the shape of `factors` with an axis of 3.
    """
    with np.errstate(divide="ignore"):
        place = np.log(factors) / math.log(limit)
    stops = np.array([_LESS, _EVEN, _MORE], np.float64)
    channels = [np.interp(place, [-1, 0, 1], stop) for stop in stops.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def factor_bar(height: int, width: int, limit: float) -> np.ndarray:
    """The colors from 1 / limit on the left to `limit` on the right, (height, width, 3)."""
    places = np.linspace(-1, 1, width)
    row = factor_colors(limit**places, limit)[None]
    return cv2.resize(row, (width, height), interpolation=cv2.INTER_NEAREST)
