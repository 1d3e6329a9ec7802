"""The figures of a table as Markdown."""

from collections.abc import Sequence

import numpy as np

from fgfa.evaluation.analysis_tables import TextTable
from reproducing.figures import SEQ_NMS, Figures
from reproducing.scores import BySeed, Score, mean_over_seeds
from reproducing.speed import radius_title

_NOT_RUN = "not run"


def markdown(title: str, command: str, steps: Sequence[str], figures: Figures) -> str:
    """The whole report.

    Args:
        title: of the report.
        command: that makes it.
        steps: commands that the table was made with.
        figures: what there is of them.
    """
    seeds = ", ".join(map(str, figures.seeds))
    parts = [
        f"# {title}",
        f"`{command}`; seeds: {seeds}; all steps took {figures.seconds / 60:.0f} minutes.",
        f"AP50 in percent: the mean over seeds{_span_note(figures)}, for all objects and by speed "
        "(motion IoU above 0.9, 0.7 to 0.9, below 0.7).",
        row_table(figures),
        _speed_note(figures),
        "## Differences",
        "Mean over seeds with 95 % interval, a paired bootstrap over the videos. Bold: zero lies "
        "outside of the interval.",
        difference_table(figures),
        _zero_note(figures),
        "## Radius of FGFA's window",
        radius_table(figures),
        "## Flow network",
        "Mean end-point errors on synthetic pairs of held-out frames: in pixels, and in cells of "
        "16 pixels, also by the length of the exact flow. Beside it zero flow, and OpenCV's DIS.",
        flow_table(figures),
        "## Commands of the first seed",
        "\n".join(["```", *steps, "```"]),
    ]
    return "\n\n".join(map(str, parts)) + "\n"


def row_table(figures: Figures) -> TextTable:
    """AP50 and milliseconds a frame of all rows."""
    rows = [
        [title, *_ap_cells(scores, figures), _milliseconds(figures, title)]
        for title, scores in figures.rows.items()
    ]
    return TextTable(["row", *_columns(figures), "ms/frame"], rows)


def difference_table(figures: Figures) -> TextTable:
    """Differences of rows, with intervals."""
    rows = [
        [title, *_difference_cells(score, len(figures.motions))]
        for title, score in figures.differences().items()
    ]
    return TextTable(["difference", *_columns(figures)], rows)


def radius_table(figures: Figures) -> TextTable:
    """AP50 and milliseconds a frame of FGFA by radius."""
    rows = [
        [
            str(2 * radius + 1),
            str(radius),
            *_ap_cells(scores, figures),
            _milliseconds(figures, radius_title(radius)),
        ]
        for radius, scores in figures.radii.items()
    ]
    return TextTable(["frames", "radius", *_columns(figures), "ms/frame"], rows)


def flow_table(figures: Figures) -> TextTable | str:
    """End-point errors of the flow network, of zero flow and of DIS."""
    if not figures.flow_errors:
        return _NOT_RUN
    rows = [
        [method, *(f"{error:.3f}" for error in errors.values())]
        for method, errors in figures.flow_errors.items()
    ]
    return TextTable(["end-point error", *next(iter(figures.flow_errors.values()))], rows)


def _columns(figures: Figures) -> list[str]:
    return ["AP50", *figures.motions[1:]]


def _ap_cells(scores: BySeed, figures: Figures) -> list[str]:
    if not scores:
        return [_NOT_RUN] * len(figures.motions)
    means = mean_over_seeds(scores).ap
    by_seed = np.stack([score.ap for score in scores.values()])
    spans = [
        f" ({low:.1f} to {high:.1f})" if len(scores) > 1 and not np.isnan(low) else ""
        for low, high in zip(by_seed.min(axis=0), by_seed.max(axis=0), strict=True)
    ]
    if len(scores) < len(figures.seeds):
        spans[0] += f", {len(scores)} of {len(figures.seeds)} seeds"
    return [_number(mean) + span for mean, span in zip(means, spans, strict=True)]


def _difference_cells(score: Score | None, count: int) -> list[str]:
    if score is None:
        return [_NOT_RUN] * count
    return [_difference_cell(*estimate) for estimate in score.estimate().T]


def _difference_cell(value: float, low: float, high: float) -> str:
    if np.isnan([value, low, high]).any():
        return _number(value, "+.1f")
    mark = "" if low <= 0 <= high else "**"
    return f"{mark}{value:+.1f}{mark} [{low:+.1f}, {high:+.1f}]"


def _milliseconds(figures: Figures, name: str) -> str:
    times = figures.milliseconds(name)
    return f"{times['least']:.1f} ({times['median']:.1f})" if times else "–"


def _number(value: float, spec: str = ".1f") -> str:
    return "–" if np.isnan(value) else format(value, spec)


def _span_note(figures: Figures) -> str:
    return " and from the lowest to the highest" if len(figures.seeds) > 1 else ""


def _speed_note(figures: Figures) -> str:
    """How the milliseconds were measured, and on what."""
    if not figures.speed:
        return "The time a frame takes is measured at the end."
    machine = figures.speed["machine"]
    place = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores"
    return (
        f"ms/frame: least (and median) time of one frame, all models in turns, in a stream with "
        f"full windows, without reading images; {place}, {figures.speed['threads']} threads, torch "
        f"{machine['torch']}.{SEQ_NMS.replace(' + ', ' ')} works on whole videos, and is not timed."
    )


def _zero_note(figures: Figures) -> str:
    """Which differences may be chance."""
    columns = _columns(figures)
    unsure = []
    for title, score in figures.differences().items():
        _, low, high = np.full((3, 1), np.nan) if score is None else score.estimate()
        names = [name for name, a, b in zip(columns, low, high, strict=False) if a <= 0 <= b]
        unsure += [f"{title}: {', '.join(names)}"] if names else []
    return "\n".join(
        ["Intervals that hold zero:", "", *(f"* {line}" for line in unsure or ["none"])]
    )
