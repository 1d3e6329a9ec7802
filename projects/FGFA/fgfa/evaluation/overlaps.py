"""Overlapping boxes of many frames at once, as lists of neighbors, and NMS over such lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fgfa.evaluation.boxes import area
from fgfa.evaluation.records import ragged_arange

# Pairs of boxes to look at at once: few enough for the cache, many enough to hide numpy's overhead.
_PAIRS_AT_ONCE = 1 << 15


@dataclass(frozen=True)
class Overlaps:
    """For each of N boxes, the boxes that it overlaps.

    Attributes:
        offsets: (N + 1,) int64, where the list of each box starts in `others`.
        others: (P,) int32, indices of boxes, ascending in each list.
    """

    offsets: np.ndarray
    others: np.ndarray

    @staticmethod
    def find(boxes: np.ndarray, first: np.ndarray, last: np.ndarray, threshold: float) -> Overlaps:
        """Compares each box with a range of boxes.

        Memory grows with the number of overlaps, not with that of comparisons.

        Args:
            boxes: (N, 4), x1 y1 x2 y2 in pixels.
            first: (N,) int64; box i is compared with the boxes first[i] .. last[i] - 1.
            last: (N,) int64.
            threshold: the least IoU of an overlap, +1 widths.
        """
        columns = _Columns(boxes)
        counts = np.zeros(len(boxes), np.int64)
        parts = [np.zeros(0, np.int32)]
        for rows in _blocks(last - first):
            sources = np.repeat(np.arange(rows.start, rows.stop), last[rows] - first[rows])
            others = ragged_arange(first[rows], last[rows] - first[rows])
            sources, others = columns.overlapping(sources, others, threshold)
            counts[rows] = np.bincount(sources - rows.start, minlength=rows.stop - rows.start)
            parts.append(others.astype(np.int32))
        return Overlaps(np.concatenate([[0], np.cumsum(counts)]), np.concatenate(parts))

    def of(self, box: int) -> list[int]:
        """The boxes that one box overlaps."""
        return self.others[self.offsets[box] : self.offsets[box + 1]].tolist()

    @cached_property
    def counts(self) -> np.ndarray:
        """(N,) int64, the lengths of the lists."""
        return np.diff(self.offsets)


def keep_after_nms(
    boxes: np.ndarray, scores: np.ndarray, groups: np.ndarray, threshold: float
) -> np.ndarray:
    """Greedy NMS in many groups, such as the frames and classes of a video, at once.

    Args:
        boxes: (N, 4), x1 y1 x2 y2 in pixels.
        scores: (N,).
        groups: (N,) int64; boxes of different groups leave each other alone.
        threshold: IoU above which the box of lower score goes, +1 widths; at equal scores the
            later one goes.

    Returns:
        Indices of the boxes that stay, by group and falling score.
    """
    order = np.lexsort((-scores, groups))
    groups = groups[order]
    following, ends = np.arange(1, len(order) + 1), np.searchsorted(groups, groups, "right")
    overlaps = Overlaps.find(boxes[order], following, ends, np.nextafter(threshold, np.inf))
    keep = np.ones(len(order), bool)
    for box in np.flatnonzero(overlaps.counts):
        if keep[box]:
            keep[overlaps.of(box)] = False
    return order[keep]


def _blocks(counts: np.ndarray) -> Iterator[slice]:
    """Cuts boxes with so many comparisons each into blocks, at least one box in each."""
    ends = np.cumsum(counts)
    start, done = 0, 0
    while start < len(counts):
        stop = max(start + 1, int(np.searchsorted(ends, done + _PAIRS_AT_ONCE, "right")))
        yield slice(start, stop)
        start, done = stop, int(ends[stop - 1])


class _Columns:
    """Boxes column by column, to compare many pairs of them."""

    def __init__(self, boxes: np.ndarray) -> None:
        self._x1, self._y1, self._x2, self._y2 = np.ascontiguousarray(boxes.T)
        self._widths, self._areas = self._x2 - self._x1 + 1, area(boxes)

    def overlapping(
        self, sources: np.ndarray, others: np.ndarray, threshold: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Those of the pairs (sources[i], others[i]) for which `boxes.iou` is >= threshold."""
        widths = _common_length(self._x1, self._x2, sources, others)
        # IoU <= common width / width of either box, which leaves few pairs for the rest.
        wide = np.flatnonzero(widths > 0.999 * threshold * self._widths.take(sources))
        widths, sources, others = widths[wide], sources[wide], others[wide]
        intersections = widths * _common_length(self._y1, self._y2, sources, others)
        unions = self._areas.take(sources) + self._areas.take(others) - intersections
        overlap = intersections / np.where(intersections > 0, unions, 1) >= threshold
        return sources[overlap], others[overlap]


def _common_length(
    lows: np.ndarray, highs: np.ndarray, sources: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """How many pixels the intervals lows..highs of each pair share, both ends inside."""
    # `take`, and in place: half the time of the plain expression.
    length = np.minimum(highs.take(sources), highs.take(others))
    length -= np.maximum(lows.take(sources), lows.take(others))
    length += 1
    return np.maximum(length, 0, out=length)
