"""Seq-NMS: rescoring detections along paths through a video (Han et al., 2016, section 3).

As the original has it (lib/nms/seq_nms.py): boxes of adjacent frames are linked at IoU >= 0.5. The
path of linked boxes with the highest sum of scores is taken again and again; its boxes get the mean
score, and boxes of their frames at IoU >= 0.3 are suppressed. It ends where no path is worth 0.01,
or where no link is left at all: what remains then, and all of a class without any link, keeps its
scores and is not suppressed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from fgfa.evaluation.overlaps import Overlaps, keep_after_nms
from fgfa.evaluation.path_graph import PathGraph
from fgfa.evaluation.records import Detections, ragged_arange

LINK_IOU = 0.5
SUPPRESS_IOU = 0.3
MIN_PATH_SCORE = 0.01

# Classes are worked on together, up to about so many boxes: together is faster where they are few,
# and a limit keeps memory low where they are many.
_BOXES_AT_ONCE = 100_000


def seq_nms(
    boxes: np.ndarray, scores: np.ndarray, times: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Seq-NMS of each class over one video.

    Args:
        boxes: (N, 4) float64, x1 y1 x2 y2 in pixels.
        scores: (N,) float64.
        times: (N,) int64, the frame of each box, from 0; boxes are linked where it differs by 1.
        classes: (N,) int64, from 0.

    Returns:
        New scores and keep masks, (N,) each; inputs are left as they are.
    """
    new_scores, keep = scores.copy(), np.ones(len(scores), bool)
    for rows in _batches_of_classes(times, classes):
        taken, means, removed = _take_paths(boxes[rows], scores[rows], times[rows], classes[rows])
        keep[rows[removed]] = False
        keep[rows[taken]] = True
        new_scores[rows[taken]] = means
    return new_scores, keep


def _batches_of_classes(times: np.ndarray, classes: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of the boxes of a few classes at a time, by time and class."""
    counts = np.bincount(classes)
    batches = ((np.cumsum(counts) - counts) // _BOXES_AT_ONCE)[classes]
    for batch in np.unique(batches):
        rows = np.flatnonzero(batches == batch)
        yield rows[np.lexsort((classes[rows], times[rows]))]


def _take_paths(
    boxes: np.ndarray, scores: np.ndarray, times: np.ndarray, classes: np.ndarray
) -> tuple[list[int], list[float], list[int]]:
    """Takes the paths out of boxes that are in order of time and class.

    Returns:
        The boxes of all paths, the mean score of the path of each, and the boxes that the paths
        remove, their own among them.
    """
    num_classes = classes.max() + 1
    frames = times * num_classes + classes  # one number for each frame and class
    near = _overlaps_with(frames, boxes, frames, SUPPRESS_IOU)
    links = _overlaps_with(frames - num_classes, boxes, frames, LINK_IOU)
    # A box alone changes nothing where it is taken.
    alone = (near.counts == 1) & (links.counts == 0)
    alone[links.others] = False
    graph = PathGraph(scores, times, classes, links, np.flatnonzero(~alone))
    taken, means, removed = [], [], []
    path, total = graph.pop_best_path()
    while total >= MIN_PATH_SCORE:
        taken += path
        means += [total / len(path)] * len(path)
        removed += graph.remove(other for box in path for other in near.of(box))
        path, total = graph.pop_best_path()
    return taken, means, removed


def _overlaps_with(
    sought: np.ndarray, boxes: np.ndarray, frames: np.ndarray, threshold: float
) -> Overlaps:
    """For each box those in the frame sought for it; `frames`, of all boxes, ascends."""
    first, last = (np.searchsorted(frames, sought, side) for side in ("left", "right"))
    return Overlaps.find(boxes, first, last, threshold)


def seq_nms_video(detections: Detections, times: np.ndarray, nms_iou: float = 0.3) -> Detections:
    """Seq-NMS of each class over one video, then NMS in each frame.

    Args:
        detections: N detections of one video before NMS.
        times: (N,) int64, the frame of each, from 0; boxes are linked where it differs by 1.
        nms_iou: IoU above which NMS drops a box.

    Returns:
        What is left, with new scores, by class, frame and falling score.
    """
    scores, keep = seq_nms(detections.boxes, detections.scores, times, detections.classes)
    left, times = replace(detections, scores=scores)[keep], times[keep]
    groups = left.classes * (times.max(initial=0) + 1) + times
    return left[keep_after_nms(left.boxes, left.scores, groups, nms_iou)]


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
    if limit == 0:
        return detections[:0]
    order = np.lexsort((-detections.scores, detections.image_ids))
    ids, scores = detections.image_ids[order], detections.scores[order]
    last = np.searchsorted(ids, ids) + limit - 1
    beyond = last >= np.searchsorted(ids, ids, "right")
    keep = np.zeros(len(detections), bool)
    keep[order] = beyond | (scores >= scores[np.minimum(last, len(ids) - 1)])
    return detections[keep]
