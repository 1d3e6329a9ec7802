"""Seq-NMS as its description reads, box by box: what the fast version is compared with.

As in the original (lib/nms/seq_nms.py), all paths are looked at again for each path that is taken.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fgfa.evaluation.boxes import iou


def plain_seq_nms(
    boxes: np.ndarray, scores: np.ndarray, times: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Does what `fgfa.evaluation.seq_nms.seq_nms` does, with the same arguments and results."""
    new_scores, keep = scores.copy(), np.ones(len(scores), bool)
    for cls in np.unique(classes):
        frames = [
            np.flatnonzero((classes == cls) & (times == time)) for time in range(times.max() + 1)
        ]
        _rescore_class(boxes, frames, new_scores, keep)
    return new_scores, keep


def _rescore_class(
    boxes: np.ndarray, frames: Sequence[np.ndarray], scores: np.ndarray, keep: np.ndarray
) -> None:
    """Changes scores and mask in place; `frames` holds the indices of the boxes of each frame."""
    rows = [box for frame in frames for box in frame.tolist()]
    left = dict(zip(rows, scores[rows].tolist(), strict=True))  # 0 for boxes that are gone
    links = {box: [] for box in rows}  # to boxes of the next frame
    for frame, following in pairwise(frames):
        for box in frame.tolist():
            links[box] = following[iou(boxes[box], boxes[following]) >= 0.5].tolist()
    while any(links.values()):
        path, total = _best_path(frames, links, left)
        if total < 0.01:
            break
        for time, box in path:
            near = frames[time][iou(boxes[box], boxes[frames[time]]) >= 0.3].tolist()
            keep[near] = False
            keep[box] = True
            scores[box] = total / len(path)
            for other in near:
                left[other], links[other] = 0.0, []
            for before in frames[time - 1].tolist() if time else ():
                links[before] = [other for other in links[before] if other not in near]


def _best_path(
    frames: Sequence[np.ndarray], links: dict[int, list[int]], scores: dict[int, float]
) -> tuple[list[tuple[int, int]], float]:
    """Frame and index of each box on the path of the highest sum of scores, and that sum."""
    sums, previous = dict(scores), {}
    for box in scores:
        for following in links[box]:
            if sums[box] + scores[following] > sums[following]:
                sums[following] = sums[box] + scores[following]
                previous[following] = box
    best = max(sums, key=sums.__getitem__)
    box, time = best, next(time for time, frame in enumerate(frames) if best in frame)
    path = [(time, box)]
    while box in previous:
        box, time = previous[box], time - 1
        path.append((time, box))
    return path, sums[best]
