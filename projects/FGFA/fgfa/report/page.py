"""Puts analyses into one HTML file that needs nothing beside itself."""

import os
from collections.abc import Sequence

import numpy as np

from fgfa.evaluation.analysis import Analysis
from fgfa.files import atomic_write
from fgfa.report.markup import Html, element, join
from fgfa.report.page_style import STYLE
from fgfa.report.sections import classes, curves, errors, sizes, summary
from fgfa.report.video_section import worst_videos


def write_page(
    path: str | os.PathLike[str],
    title: str,
    analyses: Sequence[Analysis],
    dicts: Sequence[dict],
    videos: np.ndarray,
) -> None:
    """Writes the page.

    Args:
        path: where; parent folders are made.
        title: what was evaluated.
        analyses: one a model, of the same data set; the others are compared with the first.
        dicts: the frames of that data set. Images are shown where they are there.
        videos: (F,) number of each frame's video, 0..V-1.
    """
    truth = analyses[0].matches.ground_truth
    extent = (
        f"{videos.max() + 1:,} videos, {len(truth.image_ids):,} frames, {len(truth.boxes):,} boxes"
    )
    body = element(
        "body",
        element("h1", title),
        element("p", extent, class_="note"),
        summary(analyses),
        curves(analyses),
        sizes(analyses),
        errors(analyses),
        classes(analyses),
        worst_videos(analyses, dicts, videos),
    )
    page = join(Html("<!DOCTYPE html>\n"), element("html", _head(title), body, lang="en"))
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _head(title: str) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(STYLE)),
    )
