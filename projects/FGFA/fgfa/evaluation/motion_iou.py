"""Motion IoU: how much a box still overlaps itself within ten frames (paper, section 5.1).

The original reads it from a file made by its authors for the ImageNet VID validation set. Here it
also follows from track ids, for any data set that has them.
"""

from collections.abc import Sequence

import numpy as np

from fgfa.errors import InputError
from fgfa.evaluation.boxes import iou
from fgfa.evaluation.records import ragged_arange

WINDOW = 10  # frames to each side
# Closed ranges, as in the original: a box at exactly 0.7 or 0.9 counts in two groups.
MOTION_RANGES = {"slow": (0.9, 1.0), "medium": (0.7, 0.9), "fast": (0.0, 0.7)}


def motion_iou_of_dataset(dicts: Sequence[dict]) -> list[np.ndarray]:
    """Motion IoU of every box from its track.

    The mean IoU (+1 widths) with the boxes of the same track in the frames -10..+10 around it,
    itself left out and frames outside the video left out. A box whose track shows up in none of
    these frames, such as one of a still, has shown no motion and gets 1.

    Args:
        dicts: frames of whole videos with `video_id`, `frame_index` and, in each of
            `annotations`, `bbox` (XYXY_ABS) and `track_id`.

    Returns:
        One float64 array (n,) a frame, in the order of its annotations.

    Raises:
        InputError: a box has no track id.
    """
    counts = [len(frame["annotations"]) for frame in dicts]
    boxes = np.array(
        [box["bbox"] for frame in dicts for box in frame["annotations"]], np.float64
    ).reshape(-1, 4)
    tracks, times = _tracks_and_times(dicts)
    values = _mean_over_window(boxes, tracks, times)
    return np.split(values, np.cumsum(counts)[:-1]) if counts else []


def has_track_ids(dicts: Sequence[dict]) -> bool:
    """Whether every box has a track id, so that `motion_iou_of_dataset` can be computed."""
    return all("track_id" in box for frame in dicts for box in frame["annotations"])


def _tracks_and_times(dicts: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    numbers: dict[tuple, int] = {}
    tracks, times = [], []
    for frame in dicts:
        for box in frame["annotations"]:
            if "track_id" not in box:
                raise InputError(
                    f"a box of {frame['file_name']} has no track id: motion IoU needs one for "
                    "every box, or the path of a motion IoU file"
                )
            key = (frame["video_id"], box["track_id"])
            tracks.append(numbers.setdefault(key, len(numbers)))
            times.append(frame["frame_index"])
    return np.array(tracks, np.int64), np.array(times, np.int64)


def _mean_over_window(boxes: np.ndarray, tracks: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean IoU (G,) with the boxes of the same track up to `WINDOW` frames before and after."""
    # One number a (track, frame); tracks stand far enough apart that windows never meet.
    span = int(times.max(initial=0)) + WINDOW + 1
    keys = tracks * span + times
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    total, partners = np.zeros(len(boxes)), np.zeros(len(boxes), np.int64)
    for distance in range(1, WINDOW + 1):
        first = np.searchsorted(sorted_keys, keys + distance, "left")
        repeats = np.searchsorted(sorted_keys, keys + distance, "right") - first
        earlier = np.repeat(np.arange(len(boxes)), repeats)
        later = order[ragged_arange(first, repeats)]
        overlap = iou(boxes[earlier], boxes[later])
        for side in (earlier, later):
            np.add.at(total, side, overlap)
            np.add.at(partners, side, 1)
    return np.where(partners > 0, total / np.maximum(partners, 1), 1.0)


def motion_population(frames: Sequence[np.ndarray]) -> np.ndarray:
    """All motion IoU of a set, with one 0 for every frame without boxes, as the original reads it.

    Args:
        frames: one array (n,) a frame.

    Returns:
        Shape (P,), from which the weight of false positives in empty frames is taken.
    """
    empty = sum(len(values) == 0 for values in frames)
    return np.concatenate([*frames, np.zeros(empty)])
