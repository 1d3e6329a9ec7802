"""What a check has found: as tables to read, and as JSON."""

from typing import Any

import numpy as np
from tabulate import tabulate

from fgfa.dataset_check.check import Check

MOTION_BINS = np.linspace(0, 1, 21)


def text_of(check: Check) -> str:
    """Tables of findings, classes and speeds."""
    summary = check.summary
    parts = [
        f"{check.name}: {summary.videos} videos, {summary.frames} frames "
        f"({summary.frames_without_boxes} without boxes), {summary.boxes} boxes, "
        f"{summary.tracks} tracks",
        _table_of_findings(check),
        _table_of_classes(check),
        _speeds(check),
    ]
    return "\n\n".join(parts)


def _table_of_findings(check: Check) -> str:
    if not check.findings:
        return "nothing is wrong or odd"
    rows = [
        ("wrong" if item.kind.wrong else "odd", item.kind.title, item.count, item.places[0])
        for item in check.findings
    ]
    return tabulate(rows, ["", "what", "count", "first"], tablefmt="pipe")


def _table_of_classes(check: Check) -> str:
    """Those that have boxes; the others are findings."""
    rows = [
        (name, count.boxes, count.tracks, count.videos)
        for name, count in check.summary.classes.items()
        if count.boxes
    ]
    return tabulate(rows, ["class", "boxes", "tracks", "videos"], tablefmt="pipe")


def _speeds(check: Check) -> str:
    speeds = check.summary.speeds()
    if not speeds:
        return "speed of objects: not known (it takes whole videos and track ids)"
    listed = ", ".join(f"{count} {name}" for name, count in speeds.items())
    return f"speed of objects by motion IoU: {listed} boxes"


def json_of(check: Check) -> dict[str, Any]:
    """Everything in `text_of`, with more places of each finding and the histogram of motion IoU."""
    summary = check.summary
    counts = ("videos", "frames", "boxes", "tracks", "frames_without_boxes")
    motion = None
    if summary.motion_iou is not None:
        histogram, _ = np.histogram(summary.motion_iou, MOTION_BINS)
        motion = {
            **summary.speeds(),
            "edges": MOTION_BINS.round(2).tolist(),
            "counts": histogram.tolist(),
        }
    return {
        "dataset": check.name,
        "wrong": check.is_wrong,
        **{name: getattr(summary, name) for name in counts},
        "classes": {name: vars(count) for name, count in summary.classes.items()},
        "motion_iou": motion,
        "findings": [
            {
                "kind": item.kind.key,
                "wrong": item.kind.wrong,
                "title": item.kind.title,
                "count": item.count,
                "places": item.places,
            }
            for item in check.findings
        ],
    }
