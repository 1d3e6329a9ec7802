"""The sections of the page that show numbers: each a heading, a note, tables and plots."""

from collections.abc import Sequence

from fgfa.evaluation.analysis import Analysis
from fgfa.evaluation.analysis_tables import (
    TextTable,
    class_table,
    error_table,
    size_table,
    summary_table,
)
from fgfa.report import plots
from fgfa.report.markup import Html, element, image, table


def summary(analyses: Sequence[Analysis]) -> Html:
    """AP50 by motion and what the others gain over the first model."""
    images = [_plot(plots.ap_plot(analyses), "AP50 by motion")]
    if len(analyses) > 1:
        images.append(_plot(plots.gain_plot(analyses), "difference in AP50 by motion"))
    return _section(
        "AP50 by motion",
        "By the rules of the original, in percent, the mean over classes. Slow objects have a "
        "motion IoU above 0.9, fast ones below 0.7." + _interval_note(analyses),
        _table(summary_table(analyses)),
        model_key(analyses),
        element("div", *images, class_="pair"),
    )


def curves(analyses: Sequence[Analysis]) -> Html:
    """Precision-recall curves, one plot a group of motion."""
    images = [
        _plot(plots.curve_plot(analyses, m), f"precision over recall, {motion}")
        for m, motion in enumerate(analyses[0].motions)
    ]
    return _section(
        "Precision and recall",
        "Highest precision at a recall or above, the mean over classes: the area is AP50.",
        model_key(analyses),
        element("div", *images, class_="grid"),
    )


def sizes(analyses: Sequence[Analysis]) -> Html:
    """AP50 by motion and size."""
    note = "AP50 by motion (rows) and area of the box in pixels (columns)."
    return _section("Motion and size", note, _table(size_table(analyses)))


def errors(analyses: Sequence[Analysis]) -> Html:
    """What the best detections are."""
    images = [
        _plot(plots.error_plot(analyses, m), f"errors, {motion}")
        for m, motion in enumerate(analyses[0].motions)
    ]
    return _section(
        "Errors",
        "Of each class the best detections are looked at, as many as it has boxes, and counted per "
        "100 boxes. Duplicate: on a box that is found already. Localization: IoU with a box of the "
        "class of 0.1 or more, but not enough. Confusion: on a box of another class. Background: "
        "all else. Missed: boxes at which there is none of correct, localization, confusion. "
        "Detections belong to the motion of the box they are on; background that overlaps no box "
        "counts in “all” alone.",
        _key(plots.error_key()),
        element("div", *images, class_="pair"),
        _table(error_table(analyses)),
    )


def classes(analyses: Sequence[Analysis]) -> Html:
    """AP50 of each class."""
    note = "AP50 of each class over all motion." + _interval_note(analyses)
    return _section("Classes", note, _table(class_table(analyses)))


def model_key(analyses: Sequence[Analysis]) -> Html:
    """Which color is which model."""
    return _key([(plots.model_color(i), a.name) for i, a in enumerate(analyses)])


def _section(heading: str, note: str, *children: Html) -> Html:
    return element("section", element("h2", heading), element("p", note, class_="note"), *children)


def _interval_note(analyses: Sequence[Analysis]) -> str:
    samples = len(analyses[0].samples)
    if not samples:
        return ""
    return f" Brackets and bars: 95 % interval of {samples:,} bootstrap samples of the videos" + (
        ", the same samples for all models." if len(analyses) > 1 else "."
    )


def _table(rows: TextTable) -> Html:
    return table(rows.head, rows.rows)


def _plot(svg: bytes, alt: str) -> Html:
    return image(svg, "image/svg+xml", alt)


def _key(colors: Sequence[tuple[str, str]]) -> Html:
    entries = [
        element("span", element("i", style=f"background: {color}"), name) for color, name in colors
    ]
    return element("p", *entries, class_="key note")
