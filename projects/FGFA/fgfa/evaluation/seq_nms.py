"""Seq-NMS: rescoring detections along paths through a video (Han et al., 2016, section 3).

As the original has it (lib/nms/seq_nms.py): boxes of adjacent frames are linked at IoU >= 0.5. The
path of linked boxes with the highest sum of scores is taken again and again; its boxes get the mean
score, and boxes of their frames at IoU >= 0.3 are suppressed. It ends where no path is worth 0.01,
or where no link is left at all: what remains then, and all of a class without any link, keeps its
scores and is not suppressed.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from fgfa.evaluation.boxes import iou, keep_after_nms
from fgfa.evaluation.records import Detections, ragged_arange

LINK_IOU = 0.5
SUPPRESS_IOU = 0.3
MIN_PATH_SCORE = 0.01


def seq_nms(
    boxes: Sequence[np.ndarray], scores: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Seq-NMS of one class over one video.

    Args:
        boxes: one array (N_t, 4) a frame, x1 y1 x2 y2 in pixels, in order of time.
        scores: one array (N_t,) a frame.

    Returns:
        New scores and keep masks, one array (N_t,) a frame each; inputs are left as they are.
    """
    graph = _PathGraph(boxes, scores)
    new_scores = [np.array(frame, np.float64) for frame in scores]
    keep = [np.ones(len(frame), bool) for frame in scores]
    while graph.links_left:
        start, path, total = graph.best_path()
        if total < MIN_PATH_SCORE:
            break
        for time, box in enumerate(path, start):
            near = graph.remove_around(time, box)
            keep[time][near] = False
            keep[time][box] = True
            new_scores[time][box] = total / len(path)
        graph.update(start, start + len(path))
    return new_scores, keep


def seq_nms_video(detections: Detections, times: np.ndarray, nms_iou: float = 0.3) -> Detections:
    """Seq-NMS of each class over one video, then NMS in each frame.

    Args:
        detections: N detections of one video before NMS.
        times: (N,) int64, the frame of each, from 0; boxes are linked where it differs by 1.
        nms_iou: IoU above which NMS drops a box.

    Returns:
        What is left, with new scores, by class, frame and falling score.
    """
    parts = []
    for cls in np.unique(detections.classes):
        rows = np.flatnonzero(detections.classes == cls)
        rows = rows[np.argsort(times[rows], kind="stable")]
        frames = np.split(rows, np.searchsorted(times[rows], np.arange(1, times.max() + 1)))
        rescored, keep = seq_nms(
            [detections.boxes[frame] for frame in frames],
            [detections.scores[frame] for frame in frames],
        )
        for frame, scores, kept in zip(frames, rescored, keep, strict=True):
            left = replace(detections[frame], scores=scores)[kept]
            parts.append(left[keep_after_nms(left.boxes, left.scores, nms_iou)])
    return Detections.concatenate(parts)


def seq_nms_dataset(
    dicts: Sequence[dict],
    detections: Detections,
    nms_iou: float = 0.3,
    detections_per_image: int = 300,
) -> Detections:
    """Seq-NMS, NMS, and a limit per frame over all videos of a data set.

    Args:
        dicts: its frames, with `image_id`, `video_id` and `frame_index`.
        detections: detections of these frames before NMS.
        nms_iou: IoU above which NMS drops a box.
        detections_per_image: how many of a frame's detections to leave; ties with the last stay.
            Below 0 all are left, as in the original, which limits only where Seq-NMS is off.

    Returns:
        What is left, in order of video.
    """
    videos: dict[str, list[dict]] = {}
    for frame in dicts:
        videos.setdefault(frame["video_id"], []).append(frame)
    order = np.argsort(detections.image_ids, kind="stable")
    sorted_ids = detections.image_ids[order]
    parts = []
    for frames in tqdm(videos.values(), desc="Seq-NMS", unit="video", disable=None):
        image_ids = np.array([frame["image_id"] for frame in frames], np.int64)
        first, last = (np.searchsorted(sorted_ids, image_ids, side) for side in ("left", "right"))
        rows = order[ragged_arange(first, last - first)]
        times = np.repeat([frame["frame_index"] for frame in frames], last - first)
        parts.append(seq_nms_video(detections[rows], times, nms_iou))
    left = Detections.concatenate(parts)
    return left if detections_per_image < 0 else best_of_each_frame(left, detections_per_image)


def best_of_each_frame(detections: Detections, limit: int) -> Detections:
    """The `limit` best detections of each frame, in their order; ties with the last stay."""
    order = np.lexsort((-detections.scores, detections.image_ids))
    ids, scores = detections.image_ids[order], detections.scores[order]
    last = np.searchsorted(ids, ids) + limit - 1
    beyond = last >= np.searchsorted(ids, ids, "right")
    keep = np.zeros(len(detections), bool)
    keep[order] = beyond | (scores >= scores[np.minimum(last, len(ids) - 1)])
    return detections[keep]


class _PathGraph:
    """Boxes still to be taken, the links between them, and the best path that ends in each.

    `sums[t][b]` is the highest sum of scores of a path that ends in box b of frame t, 0 where the
    box is gone; `previous[t][b]` the box of frame t - 1 before it on that path, -1 where it starts.
    """

    def __init__(self, boxes: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> None:
        self._boxes = [np.asarray(frame, np.float64).reshape(-1, 4) for frame in boxes]
        # Scores of boxes that are gone are set to 0.
        self._scores = [np.array(frame, np.float64) for frame in scores]
        self._links = [
            iou(frame[:, None], following) >= LINK_IOU
            for frame, following in zip(self._boxes, self._boxes[1:], strict=False)
        ]
        self.links_left = sum(int(links.sum()) for links in self._links)
        self._sums = [frame.copy() for frame in self._scores]
        self._previous = [np.full(len(frame), -1) for frame in scores]
        self._best = np.zeros(len(self._boxes))  # highest of each frame's sums
        self.update(0, len(self._boxes))

    def update(self, first: int, last: int) -> None:
        """Brings sums up to date after boxes of the frames first..last-1 have been removed.

        Frames behind are looked at as long as anything changes.
        """
        for time in range(first, len(self._boxes)):
            before = self._sums[time]
            self._extend_paths(time)
            self._best[time] = self._sums[time].max(initial=0)
            if time >= last and np.array_equal(before, self._sums[time]):
                break

    def _extend_paths(self, time: int) -> None:
        scores = self._scores[time]
        self._sums[time], self._previous[time] = scores.copy(), np.full(len(scores), -1)
        if time == 0 or not self._links[time - 1].any():
            return
        extended = self._sums[time - 1][:, None] + scores  # (N_{t-1}, N_t)
        extended[~self._links[time - 1]] = 0
        best = extended.argmax(axis=0)
        sums = extended.max(axis=0)
        longer = sums > scores
        self._sums[time][longer] = sums[longer]
        self._previous[time][longer] = best[longer]

    def best_path(self) -> tuple[int, list[int], float]:
        """First frame, box of each frame, and sum of scores of the best path."""
        time = int(self._best.argmax())
        box = int(self._sums[time].argmax())
        total = float(self._sums[time][box])
        path = [box]
        while (box := int(self._previous[time][box])) >= 0:
            path.append(box)
            time -= 1
        return time, path[::-1], total

    def remove_around(self, time: int, box: int) -> np.ndarray:
        """Removes a box and those it suppresses, with their links; gives their indices."""
        boxes = self._boxes[time]
        near = iou(boxes[box], boxes) >= SUPPRESS_IOU
        self._scores[time][near] = 0
        if time < len(self._links):
            self.links_left -= int(self._links[time][near].sum())
            self._links[time][near] = False
        if time > 0:
            self.links_left -= int(self._links[time - 1][:, near].sum())
            self._links[time - 1][:, near] = False
        return np.flatnonzero(near)
