"""What is known about one model's detections: AP50 by motion, size and class, errors, curves."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fgfa.evaluation.bootstrap import ap_of_samples, percentile_interval
from fgfa.evaluation.class_mean import class_mean
from fgfa.evaluation.error_breakdown import KINDS, Errors, find_errors
from fgfa.evaluation.matching import Matches
from fgfa.evaluation.motion_table import MotionTable, results_of
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.pr_curve import precision_recall
from fgfa.evaluation.records import Detections
from fgfa.evaluation.size_table import SIZE_RANGES, ap_by_size


@dataclass(frozen=True)
class Analysis:
    """Detections of one model by the rules of the original, for M groups of motion and C classes.

    Attributes:
        name: what to call the model.
        motions: M names of the groups, all first.
        matches: the detections with the boxes that they find.
        table: AP50 by motion and class.
        sizes: (M, 4) AP50 in percent, columns as `SIZE_RANGES`.
        curves: (M, 101) precision, 0 to 1, at `pr_curve.RECALLS`.
        errors: what the best detections are, and which boxes are missed.
        samples: (R, M, C) AP50 of the bootstrap's samples, percent; R may be 0.
    """

    name: str
    motions: Sequence[str]
    matches: Matches
    table: MotionTable
    sizes: np.ndarray
    curves: np.ndarray
    errors: Errors
    samples: np.ndarray

    def mean_ap(self) -> np.ndarray:
        """AP50 by motion: value, lower and upper end of its interval, percent, shape (3, M).

        Without samples the ends are NaN.
        """
        means = self.table.means()[: len(self.motions)]
        return np.stack([means, *percentile_interval(class_mean(self.samples))])

    def class_ap(self) -> np.ndarray:
        """AP50 of each class over all motion, as `mean_ap`, shape (3, C)."""
        return np.stack([self.table.ap[0], *percentile_interval(self.samples[:, 0])])

    def gain_over(self, other: "Analysis") -> np.ndarray:
        """How much higher AP50 is than that of another model, as `mean_ap`, shape (3, M).

        Args:
            other: an analysis of the same data set, whose samples are the same draws.
        """
        gains = class_mean(self.samples) - class_mean(other.samples)
        return np.stack([self.mean_ap()[0] - other.mean_ap()[0], *percentile_interval(gains)])

    def error_counts(self) -> np.ndarray:
        """Numbers (M, 7) of boxes, of detections of each of `KINDS`, and of missed boxes."""
        return self.errors.counts(self.matches.in_motion)

    def results(self) -> "OrderedDict[str, OrderedDict[str, Any]]":
        """All numbers by name: those of a Detectron2 evaluator, AP50 by size, errors, intervals.

        Errors are counts; an interval is a list of its two ends.
        """
        names, counts = self._metric_names(), self.error_counts().tolist()
        results = results_of([self.table])
        results["AP50_by_size"] = _named(
            names, [_named(SIZE_RANGES, v) for v in self.sizes.tolist()]
        )
        columns = ("boxes", *KINDS, "missed")
        results["errors"] = _named(self.motions, [_named(columns, row) for row in counts])
        if len(self.samples):
            results["AP50_interval"] = _named(names, self.mean_ap()[1:].T.tolist())
        return results

    def gain_results(self, other: "Analysis") -> "OrderedDict[str, list[float]]":
        """`gain_over` by name, each a list of value, lower and upper end."""
        return _named(self._metric_names(), self.gain_over(other).T.tolist())

    def _metric_names(self) -> list[str]:
        return ["AP50", *(f"AP50-{motion}" for motion in self.motions[1:])]


def analyze(
    name: str,
    detections: Detections,
    protocol: MsraProtocol,
    videos: np.ndarray,
    samples: np.ndarray,
) -> Analysis:
    """Looks at one model's detections from all sides.

    Args:
        name: what to call the model.
        detections: in any order.
        protocol: the data set, F frames.
        videos: (F,) int64, number of each frame's video, 0..V-1.
        samples: (R, V) of `draw_videos`, the same for all models; R may be 0.
    """
    matches = protocol.match(detections)
    table = protocol.table(matches)
    num_classes = len(table.class_names)
    return Analysis(
        name,
        protocol.motions,
        matches,
        table,
        ap_by_size(matches, num_classes),
        precision_recall(matches, num_classes),
        find_errors(matches, num_classes),
        100 * ap_of_samples(matches, num_classes, videos, samples),
    )


def results_of_analyses(analyses: Sequence[Analysis]) -> "OrderedDict[str, Any]":
    """`Analysis.results`, by model where there are several, with their gains over the first."""
    results = by_model(OrderedDict((a.name, a.results()) for a in analyses))
    if len(analyses) > 1:
        first, *others = analyses
        results["gains"] = OrderedDict((a.name, a.gain_results(first)) for a in others)
    return results


def by_model(results: "OrderedDict[str, OrderedDict[str, Any]]") -> "OrderedDict[str, Any]":
    """Results of a single model as they are, those of several below the key "models"."""
    return OrderedDict(models=results) if len(results) > 1 else next(iter(results.values()))


def number_videos(dicts: Sequence[dict]) -> np.ndarray:
    """The number (F,) of each frame's video, 0..V-1 in order of their names."""
    return np.unique([frame["video_id"] for frame in dicts], return_inverse=True)[1]


def _named(names: Sequence[str], values: Sequence) -> OrderedDict:
    return OrderedDict(zip(names, values, strict=True))
