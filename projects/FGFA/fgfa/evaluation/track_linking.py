"""Track ids for data that has none, guessed by the overlap of boxes in adjacent frames."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fgfa.evaluation.box_matching import match_boxes

logger = logging.getLogger(__name__)

LINK_IOU = 0.5


def link_tracks(dicts: Sequence[dict]) -> list[dict]:
    """Gives every box a track id, and warns that it is a guess.

    Boxes of one class in adjacent frames of a video belong to one track where their IoU (+1 widths)
    is at least 0.5, in the pairs of largest total IoU. An object that moves by half of its size
    between two frames starts a new track, so that motion IoU of fast objects comes out too high.

    Args:
        dicts: frames of whole videos in order, with `video_id`, `frame_index` and, in each of
            `annotations`, `bbox` (XYXY_ABS) and `category_id`. They are left as they are.

    Returns:
        Copies of the frames whose annotations have a `track_id`, counted from 0 in each video.
    """
    linked = [
        frame
        for _, video in itertools.groupby(dicts, key=lambda frame: frame["video_id"])
        for frame in _link_video(video)
    ]
    logger.warning(
        "The track ids of %d boxes are guessed from overlaps: objects that move by half of their "
        "size between frames are cut into several tracks and look slower than they are.",
        sum(len(frame["annotations"]) for frame in linked),
    )
    return linked


def _link_video(frames: Iterable[dict]) -> Iterator[dict]:
    new_ids = itertools.count()
    before: dict = {"frame_index": -2, "annotations": []}
    for frame in frames:
        boxes = frame["annotations"]
        is_next = frame["frame_index"] == before["frame_index"] + 1
        continued = _continued_tracks(before["annotations"], boxes) if is_next else {}
        ids = (continued[i] if i in continued else next(new_ids) for i in range(len(boxes)))
        tracked = [{**box, "track_id": track} for box, track in zip(boxes, ids, strict=True)]
        before = {**frame, "annotations": tracked}
        yield before


def _continued_tracks(before: Sequence[dict], boxes: Sequence[dict]) -> dict[int, int]:
    """Track id of each box, by its index, that continues one of the frame before."""
    pairs = match_boxes(*_arrays(before), *_arrays(boxes), LINK_IOU)
    return {box: before[partner]["track_id"] for box, partner in pairs.items()}


def _arrays(boxes: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([box["bbox"] for box in boxes], np.float64).reshape(-1, 4)
    return corners, np.array([box["category_id"] for box in boxes])
