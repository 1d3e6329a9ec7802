"""Boxes, tracks and classes that are wrong or odd."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from fgfa.dataset_check.box_table import BoxTable
from fgfa.dataset_check.findings import Finding, Kind, findings_of

# Corners of ImageNet lie on the last pixel, those of COCO behind it.
_BORDER = 1.0


def check_annotations(
    table: BoxTable, class_names: Sequence[str], jump: float = 1.0
) -> list[Finding]:
    """Everything that can be said without the images.

    Args:
        table: the boxes.
        class_names: by category id.
        jump: the motion from a frame to the next, in sizes of the box, that is odd; see
            `steps_by_size`.
    """
    return [
        *_check_boxes(table),
        *_check_tracks(table),
        *_check_jumps(table, jump),
        *_check_videos(table.dicts),
        *_check_classes(table, class_names),
    ]


def steps_by_size(table: BoxTable) -> tuple[np.ndarray, np.ndarray]:
    """How far boxes move from a frame to the next.

    Returns:
        Rows (S,) of the boxes that were in the frame before, too, and the distance (S,) of the
        centers by the side of a square that has the mean area of both.
    """
    first, second, distance = table.pairs()
    adjacent = distance == 1
    first, second = first[adjacent], second[adjacent]
    centers = (table.boxes[:, :2] + table.boxes[:, 2:]) / 2
    moved = np.linalg.norm(centers[second] - centers[first], axis=1)
    areas = table.sizes().clip(min=0).prod(axis=1)
    return second, moved / np.sqrt((areas[first] + areas[second]) / 2).clip(min=1)


def _check_boxes(table: BoxTable) -> list[Finding]:
    width, height = table.frame_sizes().T
    x1, y1, x2, y2 = table.boxes.T
    empty = (x2 <= x1) | (y2 <= y1)
    known = width > 0
    outside = known & ((x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height))
    low = np.minimum(x1, y1) < -_BORDER
    across = known & (low | (x2 > width + _BORDER) | (y2 > height + _BORDER))
    return [
        *_rows(Kind.EMPTY_BOX, table, empty),
        *_rows(Kind.BOX_OUTSIDE, table, outside & ~empty),
        *_rows(Kind.BOX_ACROSS_BORDER, table, across & ~outside & ~empty),
        *_rows(Kind.NO_TRACK, table, ~table.tracked()),
    ]


def _rows(kind: Kind, table: BoxTable, chosen: np.ndarray) -> list[Finding]:
    return findings_of(kind, np.flatnonzero(chosen), table.describe)


def _check_tracks(table: BoxTable) -> list[Finding]:
    first, second, distance = table.pairs()
    changed = table.classes[first] != table.classes[second]
    return [
        *findings_of(Kind.REPEATED_TRACK, second[distance == 0], table.describe),
        *findings_of(Kind.TRACK_OF_CLASSES, second[changed], table.describe),
    ]


def _check_jumps(table: BoxTable, jump: float) -> list[Finding]:
    rows, steps = steps_by_size(table)
    order = np.argsort(-steps, kind="stable")
    order = order[steps[order] > jump]
    return findings_of(
        Kind.JUMP,
        order,
        lambda i: f"{table.describe(rows[i])} moved by {steps[i]:.1f} of its size",
    )


def _check_videos(dicts: Sequence[dict]) -> list[Finding]:
    repeated = Counter(frame["image_id"] for frame in dicts)
    shared = [
        f"{frame['file_name']}: image_id {frame['image_id']}"
        for frame in dicts
        if repeated[frame["image_id"]] > 1
    ]
    sizes, without = [], []
    for video_id, group in groupby(dicts, key=lambda frame: frame["video_id"]):
        frames = list(group)
        found = {(frame["width"], frame["height"]) for frame in frames if frame["height"]}
        if len(found) > 1:
            listed = ", ".join(f"{width}x{height}" for width, height in sorted(found)[:3])
            sizes.append(f"video {video_id}: {listed}")
        if not any(frame["annotations"] for frame in frames):
            without.append(f"video {video_id}, {len(frames)} frames")
    return [
        *findings_of(Kind.SHARED_IMAGE_ID, shared),
        *findings_of(Kind.FRAME_SIZES, sizes),
        *findings_of(Kind.VIDEO_WITHOUT_BOXES, without),
    ]


def _check_classes(table: BoxTable, class_names: Sequence[str]) -> list[Finding]:
    counts = np.bincount(table.classes, minlength=len(class_names))
    missing = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
    return findings_of(Kind.CLASS_WITHOUT_BOXES, missing)
