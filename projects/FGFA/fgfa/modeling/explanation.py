"""Why the feature of a key frame is what it is: what a viewer can be shown."""

from dataclasses import dataclass

import torch
from detectron2.structures import Instances


@dataclass(frozen=True)
class Explanation:
    """What went into the detections of a key frame. Tensors are on the CPU, in float32.

    Attributes:
        frames: number of the frame at each of the T positions of the window, in order of time; at
            the ends of the video its first and last frame repeat.
        key: position of the key frame among them.
        flow: shape (T, 2, H, W), from the key frame to each frame, in cells of 16 x 16 pixels of
            the resized frame, x first.
        weights: shape (T, H, W), the share of each frame in the aggregated feature, cell by cell;
            sums to one over T.
        single_frame: detections of the same network in the key frame's own feature, as if there
            was no other frame.
    """

    frames: list[int]
    key: int
    flow: torch.Tensor
    weights: torch.Tensor
    single_frame: Instances
