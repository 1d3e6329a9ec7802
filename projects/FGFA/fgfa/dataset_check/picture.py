"""A data set at a glance, as a picture: classes, speeds, steps and sizes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fgfa.dataset_check.check import Check
from fgfa.dataset_check.tables import MOTION_BINS
from fgfa.evaluation.motion_iou import MOTION_RANGES
from fgfa.files import atomic_write
from fgfa.report.plots import MODEL_COLORS, PLOT_STYLE

_BAR = "#bbbbbb"
_MOST_CLASSES = 30  # that have room


def save_picture(path: Path, check: Check) -> None:
    """Draws a check, in the format of the path's suffix.

    Args:
        path: a file such as check.png or check.jpg.
        check: of a data set.
    """
    with matplotlib.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(10, 7), layout="constrained")
        (classes, speeds), (steps, sizes) = figure.subplots(2, 2)
        _draw_classes(classes, check)
        _draw_speeds(speeds, check.summary.motion_iou)
        _draw_histogram(steps, check.steps, np.linspace(0, 2, 41), "motion to the next frame")
        # Jumps are few, and would not be seen beside all other steps.
        label = "distance of centers / size of the box (last bar: and above)"
        steps.set(yscale="symlog", xlabel=label)
        bins = np.geomspace(1, max(check.box_sizes.max(initial=1), 2), 41)
        _draw_histogram(sizes, check.box_sizes, bins, "size of boxes")
        sizes.set(xscale="log", xlabel="square root of the area, pixels")
        figure.suptitle(f"{check.name}: {check.summary.boxes} boxes")
        with atomic_write(path) as temporary:
            figure.savefig(temporary, dpi=100)


def _draw_classes(axes: Axes, check: Check) -> None:
    found = [item for item in check.summary.classes.items() if item[1].boxes]
    counts = sorted(found, key=lambda item: -item[1].boxes)[:_MOST_CLASSES]
    axes.barh(range(len(counts)), [count.boxes for _, count in counts], color=MODEL_COLORS[0])
    axes.set(yticks=range(len(counts)), yticklabels=[name for name, _ in counts], xlabel="boxes")
    axes.set_title("classes")
    axes.tick_params(axis="y", labelsize=9 if len(counts) < 15 else 5)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def _draw_speeds(axes: Axes, motion_iou: np.ndarray | None) -> None:
    axes.set_title("speed of objects")
    if motion_iou is None:
        axes.text(0.5, 0.5, "not known", ha="center", transform=axes.transAxes)
        return
    for (name, (low, high)), color in zip(MOTION_RANGES.items(), MODEL_COLORS, strict=False):
        axes.axvspan(low, high, color=color, alpha=0.15, label=name, lw=0)
    axes.hist(motion_iou, MOTION_BINS, color=_BAR, edgecolor="#666666")
    axes.set(xlim=(0, 1), xlabel="motion IoU", ylabel="boxes")
    axes.legend(frameon=False)


def _draw_histogram(axes: Axes, values: np.ndarray, bins: Sequence[float], title: str) -> None:
    axes.hist(np.clip(values, bins[0], bins[-1]), bins, color=_BAR, edgecolor="#666666")
    axes.set(ylabel="boxes")
    axes.set_title(title)
