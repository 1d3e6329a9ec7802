"""Plots of analyses as SVG files."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fgfa.evaluation.analysis import Analysis
from fgfa.evaluation.error_breakdown import KINDS
from fgfa.evaluation.pr_curve import RECALLS

# Okabe and Ito's colors, which people with color vision deficiencies tell apart.
MODEL_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
ERROR_COLORS = ("#009e73", "#f0e442", "#e69f00", "#d55e00", "#999999", "#dddddd")
PLOT_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "svg.hashsalt": "fgfa",  # the same page for the same detections
}


def model_color(index: int) -> str:
    """The color of the model with this place in the list."""
    return MODEL_COLORS[index % len(MODEL_COLORS)]


def ap_plot(analyses: Sequence[Analysis]) -> bytes:
    """AP50 of each model with intervals, side by side by motion."""
    estimates = {model_color(i): analysis.mean_ap() for i, analysis in enumerate(analyses)}
    return _interval_plot(estimates, analyses[0].motions, "AP50")


def gain_plot(analyses: Sequence[Analysis]) -> bytes:
    """What each but the first model gains over the first, with intervals, by motion."""
    first, *others = analyses
    estimates = {model_color(i): a.gain_over(first) for i, a in enumerate(others, start=1)}
    return _interval_plot(estimates, first.motions, f"AP50 above {first.name}")


def _interval_plot(
    estimates: Mapping[str, np.ndarray], motions: Sequence[str], label: str
) -> bytes:
    """Plots values, lower and upper ends, (3, M) of each color."""
    with matplotlib.rc_context(PLOT_STYLE):
        figure, axes = _figure(4.2, 2.8)
        places = np.arange(len(motions))
        for i, (color, (value, low, high)) in enumerate(estimates.items()):
            shift = 0.16 * (i - (len(estimates) - 1) / 2)
            ends = np.nan_to_num(np.stack([value - low, high - value]))
            axes.errorbar(places + shift, value, ends, fmt="o", ms=5, capsize=3, color=color)
        axes.axhline(0, color="#888888", lw=0.8)
        axes.set(xticks=places, xticklabels=motions, ylabel=label, xlim=(-0.6, places[-1] + 0.6))
        axes.grid(axis="x", visible=False)
        return _svg(figure)


def curve_plot(analyses: Sequence[Analysis], motion: int) -> bytes:
    """Precision over recall of each model for one group of motion."""
    with matplotlib.rc_context(PLOT_STYLE):
        figure, axes = _figure(3, 2.8)
        for i, analysis in enumerate(analyses):
            axes.plot(RECALLS, analysis.curves[motion], color=model_color(i))
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.set_title(analyses[0].motions[motion])
        return _svg(figure)


def error_plot(analyses: Sequence[Analysis], motion: int) -> bytes:
    """A bar for each model: what the best detections of one group of motion are, and the misses."""
    with matplotlib.rc_context(PLOT_STYLE):
        figure, axes = _figure(4.2, 0.8 + 0.35 * len(analyses))
        for place, analysis in enumerate(analyses):
            boxes, *counts = analysis.error_counts()[motion]
            shares = 100 * np.array(counts) / max(boxes, 1)
            axes.barh(place, shares, left=np.cumsum(shares) - shares, color=ERROR_COLORS)
        names = [a.name for a in analyses]
        axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, _most_counted(analyses)))
        axes.set_title(analyses[0].motions[motion])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        return _svg(figure)


def _most_counted(analyses: Sequence[Analysis]) -> float:
    """The longest bar of the error plots of all groups."""
    counts = np.stack([a.error_counts() for a in analyses])  # (models, M, 7)
    return 100 * (counts[..., 1:].sum(axis=-1) / np.maximum(counts[..., 0], 1)).max()


def error_key() -> list[tuple[str, str]]:
    """Color and meaning of the parts of `error_plot`."""
    return list(zip(ERROR_COLORS, (*KINDS, "missed"), strict=True))


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
