"""The figures of a table as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fgfa.report.plots import MODEL_COLORS, PLOT_STYLE, model_color
from reproducing.figures import SEQ_NMS, Figures
from reproducing.scores import mean_over_seeds


def save_plot(path: Path, title: str, figures: Figures) -> None:
    """Draws AP50 of the rows by speed, with intervals, and AP50 over the radius of the window."""
    radii = radii_of_all_seeds(figures)
    with matplotlib.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(11, 4), layout="constrained")
        if len(radii) > 1:
            left, right = figure.subplots(1, 2, width_ratios=(3, 2))
            _draw_radii(right, radii, figures.motions)
        else:
            left = figure.subplots()
        _draw_rows(left, figures)
        figure.suptitle(title)
        figure.savefig(path, dpi=150)


def _draw_rows(axes: Axes, figures: Figures) -> None:
    """Filled marks are rows, empty ones the same with Seq-NMS."""
    places = np.arange(len(figures.motions))
    titles = list(figures.rows)
    for i, (title, scores) in enumerate(figures.rows.items()):
        if not scores:
            continue
        value, low, high = mean_over_seeds(scores).estimate()
        axes.errorbar(
            places + 0.8 * ((i + 0.5) / len(titles) - 0.5),
            value,
            np.nan_to_num(np.stack([value - low, high - value])).clip(min=0),
            fmt="o",
            ms=4,
            capsize=2,
            color=model_color(i // 2),
            markerfacecolor="white" if title.endswith(SEQ_NMS) else None,
            label=title,
        )
    axes.set(xticks=places, xticklabels=figures.motions, ylabel="AP50", title="by speed")
    axes.grid(axis="x", visible=False)
    if axes.has_data():
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def radii_of_all_seeds(figures: Figures) -> dict[int, np.ndarray]:
    """AP50 (M,) by radius; means over some of the seeds could not be compared with others."""
    return {
        radius: mean_over_seeds(scores).ap
        for radius, scores in figures.radii.items()
        if len(scores) == len(figures.seeds)
    }


def _draw_radii(axes: Axes, radii: Mapping[int, np.ndarray], motions: Sequence[str]) -> None:
    frames = [2 * radius + 1 for radius in radii]
    for motion, values, color in zip(
        motions, np.stack(list(radii.values())).T, MODEL_COLORS, strict=False
    ):
        axes.plot(frames, values, "o-", ms=4, color=color, label=motion)
    axes.set_xticks(frames)
    axes.legend(fontsize=7, frameon=False)
    axes.set(xlabel="frames in the window", ylabel="AP50", title="FGFA")
