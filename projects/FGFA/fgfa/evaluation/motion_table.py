"""Average precision by motion and class: as numbers with names, and as a table to read."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from fgfa.evaluation.class_mean import class_mean
from fgfa.evaluation.motion_iou import MOTION_RANGES


@dataclass(frozen=True)
class MotionTable:
    """Average precision by motion and class.

    Attributes:
        metric: name of the measure, such as AP50.
        ap: shape (4, C), percent, rows all, slow, medium, fast; NaN where no box is in the group.
        class_names: C names.
    """

    metric: str
    ap: np.ndarray
    class_names: Sequence[str]

    def means(self) -> np.ndarray:
        """Mean (4,) over the classes that have boxes in the group; NaN where none has."""
        return class_mean(self.ap)

    def results(self) -> "OrderedDict[str, float]":
        """The numbers under the names that Detectron2 prints and verifies: AP50, AP50-slow, ..."""
        suffixes = ["", *(f"-{motion}" for motion in MOTION_RANGES)]
        suffixes += [f"-{name}" for name in self.class_names]
        numbers = map(float, [*self.means(), *self.ap[0]])
        return OrderedDict(zip([self.metric + s for s in suffixes], numbers, strict=True))

    def __str__(self) -> str:
        """A table of the mean and of the classes that have boxes."""
        rows = [["mean", *self.means()]]
        rows += [
            [name, *ap]
            for name, ap in zip(self.class_names, self.ap.T, strict=True)
            if not np.isnan(ap).all()
        ]
        return tabulate(rows, ["", self.metric, *MOTION_RANGES], tablefmt="pipe", floatfmt=".2f")


def results_of(tables: Sequence[MotionTable]) -> "OrderedDict[str, OrderedDict[str, float]]":
    """Results in the form of a Detectron2 evaluator, under the task "bbox"."""
    return OrderedDict(
        bbox=OrderedDict(item for table in tables for item in table.results().items())
    )
