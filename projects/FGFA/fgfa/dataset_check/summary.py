"""What a data set holds: counts, classes, and how fast its objects are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fgfa.dataset_check.box_table import BoxTable
from fgfa.evaluation.motion_iou import MOTION_RANGES, has_track_ids, motion_iou_of_dataset


@dataclass(frozen=True)
class ClassCount:
    """How often a class is there."""

    boxes: int
    tracks: int
    videos: int


@dataclass(frozen=True)
class Summary:
    """What a data set holds.

    Attributes:
        videos, frames, boxes, tracks: how many there are. A frame of no video is one.
        frames_without_boxes: how many of the frames have none.
        classes: by name.
        motion_iou: (G,) of each box, or None where it cannot be had: without track ids, or where
            only some frames of the videos are in the data set.
    """

    videos: int
    frames: int
    boxes: int
    tracks: int
    frames_without_boxes: int
    classes: dict[str, ClassCount]
    motion_iou: np.ndarray | None

    def speeds(self) -> dict[str, int]:
        """How many boxes are slow, medium and fast; those on a limit count in both groups."""
        if self.motion_iou is None:
            return {}
        return {
            name: int(((self.motion_iou >= low) & (self.motion_iou <= high)).sum())
            for name, (low, high) in MOTION_RANGES.items()
        }


def summarize(table: BoxTable, class_names: Sequence[str]) -> Summary:
    """Counts and measures what is in a data set."""
    dicts = table.dicts
    videos = np.array([frame["video_id"] for frame in dicts], object)[table.frames]
    return Summary(
        videos=len({frame["video_id"] for frame in dicts}),
        frames=len(dicts),
        boxes=len(table.boxes),
        tracks=int(table.tracks.max(initial=-1)) + 1,
        frames_without_boxes=sum(not frame["annotations"] for frame in dicts),
        classes={
            name: ClassCount(
                boxes=int((table.classes == category).sum()),
                tracks=len(np.unique(table.tracks[table.tracked() & (table.classes == category)])),
                videos=len(set(videos[table.classes == category])),
            )
            for category, name in enumerate(class_names)
        },
        motion_iou=_motion_iou(dicts),
    )


def _motion_iou(dicts: Sequence[dict]) -> np.ndarray | None:
    listed = Counter(frame["video_id"] for frame in dicts)
    whole = all(listed[frame["video_id"]] == frame["video_length"] for frame in dicts)
    still = all(frame["video_length"] == 1 for frame in dicts)
    if not whole or still or not has_track_ids(dicts):
        return None
    return np.concatenate(motion_iou_of_dataset(dicts))
