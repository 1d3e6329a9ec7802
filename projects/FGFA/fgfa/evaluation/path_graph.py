"""The graph of Seq-NMS: boxes linked from frame to frame, and the best path through them."""

from collections import defaultdict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np

from fgfa.evaluation.overlaps import Overlaps

_GONE = -np.inf


class PathGraph:
    """Boxes that can still be taken, and the best path that ends in each.

    A box knows the highest sum of scores of a path that ends in it, and the box before it: the
    linked one with the highest sum, the first of several, even where a path that starts behind it
    is better. After a removal only boxes that come next on the path of a changed one are looked at.

    Args:
        scores: (N,) float64, of boxes in order of time.
        times: (N,) int64 from 0, ascending.
        groups: (N,) int64 from 0, such as classes.
        links: for each box the linked boxes of the frame before, all of its own group.
        ends: (M,) int64, boxes that a path may end in. Boxes without links can be left out where
            it makes no difference whether they are taken.
    """

    def __init__(
        self,
        scores: np.ndarray,
        times: np.ndarray,
        groups: np.ndarray,
        links: Overlaps,
        ends: np.ndarray,
    ) -> None:
        self._links = links
        sums, previous = _best_sums(scores, times, links)
        # Plain lists, because single numbers of arrays are slow.
        self._scores, self._groups = scores.tolist(), groups.tolist()
        self._sums, self._previous = sums.tolist(), previous.tolist()
        # Boxes that had each box before them at some time; some have another one now.
        self._followers: dict[int, list[int]] = defaultdict(list)
        for box in np.flatnonzero(previous >= 0).tolist():
            self._followers[self._previous[box]].append(box)
        # How many boxes of each group have a box before them.
        self._num_linked = np.bincount(groups, previous >= 0).astype(int).tolist()
        # Sums with minus and the boxes that paths end in: the first ones as a list, best last, and
        # as a heap those that came later. Sums never rise, so what is outdated comes too early.
        ends = ends[np.argsort(-sums[ends], kind="stable")[::-1]]
        self._first_ends = list(zip((-sums[ends]).tolist(), ends.tolist(), strict=True))
        self._later_ends: list[tuple[float, int]] = []

    def pop_best_path(self) -> tuple[list[int], float]:
        """The best path of all groups that have links left; its boxes have to be removed next.

        Returns:
            Its boxes in order of time and the sum of their scores; of equal sums, that with the
            lowest last box. No boxes and 0 where no links are left.
        """
        first, later = self._first_ends, self._later_ends
        while first or later:
            is_later = not first or (later and later[0] < first[-1])
            negative, end = heappop(later) if is_later else first.pop()
            if self._sums[end] == -negative and self._num_linked[self._groups[end]] > 0:
                return self._path_to(end), -negative
        return [], 0.0

    def _path_to(self, end: int) -> list[int]:
        path = [end]
        while self._sums[end] > self._scores[end]:
            end = self._previous[end]
            path.append(end)
        return path[::-1]

    def remove(self, boxes: Iterable[int]) -> list[int]:
        """Removes boxes with their links; gives those that were still there."""
        removed = [box for box in boxes if self._sums[box] != _GONE]
        for box in removed:
            self._sums[box] = _GONE
            self._set_previous(box, -1)
        outdated = [follower for box in removed for follower in self._pop_followers(box)]
        heapify(outdated)
        # In order of time each has its turn once: by then all boxes before it are up to date.
        while outdated:
            for follower in self._update(heappop(outdated)):
                heappush(outdated, follower)
        return removed

    def _update(self, box: int) -> list[int]:
        """Brings a box up to date; gives the boxes that have to follow."""
        before, score = self._links.of(box), self._scores[box]
        sums = [self._sums[other] + score for other in before]
        best = max(sums)
        self._set_previous(box, -1 if best == _GONE else before[sums.index(best)])
        best = max(best, score)
        if best == self._sums[box]:
            return []
        self._sums[box] = best
        heappush(self._later_ends, (-best, box))
        return self._pop_followers(box)

    def _set_previous(self, box: int, previous: int) -> None:
        if previous >= 0:
            self._followers[previous].append(box)
        elif self._previous[box] >= 0:
            self._num_linked[self._groups[box]] -= 1
        self._previous[box] = previous

    def _pop_followers(self, box: int) -> list[int]:
        if box not in self._followers:
            return []
        followers = self._followers.pop(box)
        return [follower for follower in followers if self._previous[follower] == box]


def _best_sums(
    scores: np.ndarray, times: np.ndarray, links: Overlaps
) -> tuple[np.ndarray, np.ndarray]:
    """The highest sum of a path to each box, and the best box before it or -1, both (N,)."""
    sums, previous = scores.copy(), np.full(len(scores), -1)
    frames = np.flatnonzero(np.diff(times, prepend=-1, append=times.max(initial=-1) + 1))
    for first, last in pairwise(frames):
        boxes = first + np.flatnonzero(links.counts[first:last])
        if len(boxes) == 0:
            continue
        start, counts = links.offsets[first], links.counts[boxes]
        before = links.others[start : links.offsets[last]]
        extended = sums[before] + np.repeat(scores[boxes], counts)
        starts = links.offsets[boxes] - start
        best = np.maximum.reduceat(extended, starts)
        is_best = np.flatnonzero(extended == np.repeat(best, counts))
        previous[boxes] = before[is_best[np.searchsorted(is_best, starts)]]
        sums[boxes] = np.maximum(best, scores[boxes])
    return sums, previous
