"""How far two sets of detections of one frame lie apart."""

from dataclasses import dataclass

import torch
from detectron2.structures import Instances

# Detections farther apart are different ones. Pixels.
_SAME = 1.0


@dataclass(frozen=True)
class DetectionDifference:
    """Differences of detections that are each other's nearest of a class, at most a pixel apart."""

    counts: tuple[int, int]
    pairs: int
    box: float  # largest difference of a coordinate, pixels
    score: float  # largest difference


def detection_difference(first: Instances, second: Instances) -> DetectionDifference:
    """Pairs detections, as equal scores may change places, and compares them."""
    boxes = [detections.pred_boxes.tensor.double() for detections in (first, second)]
    distances = torch.cdist(*boxes, p=torch.inf)
    distances[first.pred_classes[:, None] != second.pred_classes] = torch.inf
    pairs = (distances <= _SAME) & _least(distances, dim=0) & _least(distances, dim=1)
    rows, columns = pairs.nonzero(as_tuple=True)
    scores = (first.scores[rows] - second.scores[columns]).abs()
    return DetectionDifference(
        counts=(len(first), len(second)),
        pairs=len(rows),
        box=max(distances[rows, columns].tolist(), default=0.0),
        score=max(scores.tolist(), default=0.0),
    )


def _least(distances: torch.Tensor, dim: int) -> torch.Tensor:
    """Whether each distance (N, M) is the first least one along a dimension."""
    if distances.numel() == 0:
        return torch.zeros_like(distances, dtype=torch.bool)
    index = distances.argmin(dim, keepdim=True)
    return torch.zeros_like(distances, dtype=torch.bool).scatter_(dim, index, True)
