"""Analyses of one or several models as tables of text, for the terminal and for the page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from fgfa.evaluation.analysis import Analysis
from fgfa.evaluation.error_breakdown import KINDS
from fgfa.evaluation.motion_table import MotionTable
from fgfa.evaluation.size_table import SIZE_RANGES


@dataclass(frozen=True)
class TextTable:
    """A table of text, the first column of which names the rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        align = ["left", *["right"] * (len(self.head) - 1)]
        return tabulate(
            self.rows, self.head, tablefmt="pipe", disable_numparse=True, colalign=align
        )


def tables_of(analyses: Sequence[Analysis]) -> list[TextTable | MotionTable]:
    """All tables in the order in which to print them."""
    if len(analyses) > 1:
        tables = [class_table(analyses), summary_table(analyses)]
    else:
        tables = [analyses[0].table]
        if len(analyses[0].samples):
            tables.append(summary_table(analyses))
    return [*tables, size_table(analyses), error_table(analyses)]


def summary_table(analyses: Sequence[Analysis]) -> TextTable:
    """AP50 of each model by motion, and what the others gain over the first, with intervals."""
    rows = [[a.name, *_with_intervals(a.mean_ap())] for a in analyses]
    rows += [
        [f"{a.name} − {analyses[0].name}", *_with_intervals(a.gain_over(analyses[0]), "+.1f")]
        for a in analyses[1:]
    ]
    return TextTable(["AP50", *analyses[0].motions], rows)


def size_table(analyses: Sequence[Analysis]) -> TextTable:
    """AP50 by motion and size."""
    rows = [
        [name, *(_number(value) for value in row)]
        for name, row in _by_motion(analyses, [a.sizes for a in analyses])
    ]
    return TextTable(["AP50 by area", *SIZE_RANGES], rows)


def error_table(analyses: Sequence[Analysis]) -> TextTable:
    """What the best detections are, and the missed boxes, by motion, for 100 boxes each."""
    rows = [
        [name, str(boxes), *(_number(100 * count / boxes if boxes else np.nan) for count in counts)]
        for name, (boxes, *counts) in _by_motion(analyses, [a.error_counts() for a in analyses])
    ]
    return TextTable(["per 100 boxes", "boxes", *KINDS, "missed"], rows)


def class_table(analyses: Sequence[Analysis]) -> TextTable:
    """AP50 of each class that has boxes, with intervals; of a single model by motion, too."""
    first = analyses[0]
    truth = first.matches.ground_truth
    counts = np.bincount(truth.classes, minlength=len(first.table.class_names))
    head, columns = [a.name for a in analyses], [_with_intervals(a.class_ap()) for a in analyses]
    if len(analyses) == 1:
        head = list(first.motions)
        columns += [[_number(ap) for ap in row] for row in first.table.ap[1 : len(head)]]
    rows = [
        [name, str(count), *cells]
        for name, count, *cells in zip(first.table.class_names, counts, *columns, strict=True)
        if count
    ]
    return TextTable(["class", "boxes", *head], rows)


def _by_motion(
    analyses: Sequence[Analysis], values: Sequence[np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Rows of the models' arrays (M, ...) with names, one motion after the other."""
    for m, motion in enumerate(analyses[0].motions):
        for analysis, rows in zip(analyses, values, strict=True):
            yield motion if len(analyses) == 1 else f"{motion}: {analysis.name}", rows[m]


def _with_intervals(estimates: np.ndarray, spec: str = ".1f") -> list[str]:
    """Text of estimates (3, n) as value, lower and upper end."""
    return [
        _number(value, spec)
        + ("" if np.isnan(low) else f" [{_number(low, spec)}, {_number(high, spec)}]")
        for value, low, high in estimates.T
    ]


def _number(value: float, spec: str = ".1f") -> str:
    return "–" if np.isnan(value) else format(value, spec)
