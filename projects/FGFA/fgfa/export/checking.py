"""How far an exported model is from the model that it was made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from fgfa.errors import InputError


@dataclass(frozen=True)
class Tolerance:
    """The largest differences that pass.

    Attributes:
        feature: of a cached tensor, as a part of its largest value.
        box: of a corner, pixels of the frame.
        score: of a detection.
    """

    feature: float = 1e-4
    box: float = 0.1
    score: float = 1e-3


class Comparison:
    """Gathers the largest differences over the frames of a video."""

    def __init__(self, tolerance: Tolerance, min_score: float) -> None:
        """
        Args:
            tolerance: what passes.
            min_score: detections below are not compared: one near the limit of NMS or of the number
                of detections may be here and not there. A partner may be below.
        """
        self.tolerance = tolerance
        self.min_score = min_score
        self.feature = self.box = self.score = 0.0
        self.frames = self.detections = 0

    def add_frame(self, kept: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
        """Compares what is kept of a frame, tensors of the same shapes."""
        self.frames += 1
        for tensor, other in zip(kept, expected, strict=True):
            error = (tensor - other).abs().max() / other.abs().max().clamp(min=1e-12)
            self.feature = _worse(self.feature, error.item())

    def add_detections(self, found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
        """Compares the detections of a frame, both ways, each with the nearest of its class.

        Args:
            found: boxes (N, 4), scores (N,) and classes (N,).
            expected: the same of the model, (M, 4), (M,) and (M,).
        """
        for some, others in ((found, expected), (expected, found)):
            for box, score, label in zip(*some, strict=True):
                if score >= self.min_score:
                    same = others[2] == label
                    self._add_detection(box, score, others[0][same], others[1][same])

    def _add_detection(self, box: Tensor, score: Tensor, boxes: Tensor, scores: Tensor) -> None:
        """Compares a box (4,) with those (N, 4) of its class."""
        self.detections += 1
        if len(boxes) == 0:
            self.box = math.inf
            return
        distances = (boxes - box).abs().amax(dim=1)
        nearest = distances.argmin()
        self.box = _worse(self.box, distances[nearest].item())
        self.score = _worse(self.score, (scores[nearest] - score).abs().item())

    def __str__(self) -> str:
        return (
            f"{self.frames} frames, {self.detections} comparisons of detections, largest "
            f"difference of cached tensors {self.feature:.1e} of their largest value, of boxes "
            f"{self.box:.1e} pixels, of scores {self.score:.1e}"
        )

    def check(self, what: str) -> None:
        """Raises InputError where `what`, the name of a program, differs by more than passes."""
        for name in ("feature", "box", "score"):
            value, limit = getattr(self, name), getattr(self.tolerance, name)
            if not value <= limit:  # which is so for NaN as well
                raise InputError(
                    f"{what} differs from the model ({name} by {value:.2g}, where {limit:.2g} is "
                    "tolerated); do not use it"
                )


def _worse(former: float, value: float) -> float:
    """The larger of both; NaN stays."""
    return former if value <= former or math.isnan(former) else value
