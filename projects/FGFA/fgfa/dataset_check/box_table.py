"""All boxes of a data set in one table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_NO_TRACK = -1


@dataclass(frozen=True)
class BoxTable:
    """Boxes, G in number, frame by frame.

    Attributes:
        dicts: frames of the data set.
        frames: (G,) int64, which of the frames it is in.
        boxes: (G, 4) float64, x1 y1 x2 y2 in pixels.
        classes: (G,) int64.
        tracks: (G,) int64, a number from 0 for each track of each video, -1 where it has none.
    """

    dicts: Sequence[dict]
    frames: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    tracks: np.ndarray

    @classmethod
    def of_dicts(cls, dicts: Sequence[dict]) -> "BoxTable":
        """Takes the boxes out of the frames of a registered data set."""
        numbers: dict[tuple, int] = {}
        rows = [
            (index, box["category_id"], _track(frame, box, numbers), *box["bbox"])
            for index, frame in enumerate(dicts)
            for box in frame["annotations"]
        ]
        table = np.array(rows, np.float64).reshape(-1, 7)
        frames, classes, tracks = table[:, :3].astype(np.int64).T
        return cls(dicts, frames, table[:, 3:], classes, tracks)

    def sizes(self) -> np.ndarray:
        """Widths and heights (G, 2), pixels."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    def frame_sizes(self) -> np.ndarray:
        """Widths and heights (G, 2) of the frames that boxes are in; 0 where they are not known."""
        sizes = np.array([(frame["width"], frame["height"]) for frame in self.dicts], np.float64)
        return sizes.reshape(-1, 2)[self.frames]

    def times(self) -> np.ndarray:
        """Number (G,) of each box's frame in its video."""
        return np.array([frame["frame_index"] for frame in self.dicts], np.int64)[self.frames]

    def tracked(self) -> np.ndarray:
        """Whether (G,) a box has a track."""
        return self.tracks != _NO_TRACK

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each box that has a track, but for its last, and the following one of that track.

        Returns:
            Rows (P,) of the former, rows (P,) of the latter, and how many frames (P,) lie between.
        """
        times = self.times()
        rows = np.flatnonzero(self.tracked())
        rows = rows[np.lexsort((times[rows], self.tracks[rows]))]
        first, second = rows[:-1], rows[1:]
        same = self.tracks[first] == self.tracks[second]
        first, second = first[same], second[same]
        return first, second, times[second] - times[first]

    def describe(self, row: int) -> str:
        """A box for people: its frame's file, its corners and its track."""
        frame = self.dicts[self.frames[row]]
        first = np.searchsorted(self.frames, self.frames[row])
        track = frame["annotations"][row - first].get("track_id")
        corners = ", ".join(f"{corner:g}" for corner in self.boxes[row])
        of_track = "" if track is None else f" of track {track}"
        return f"{frame['file_name']}: box {corners}{of_track}"


def _track(frame: dict, box: dict, numbers: dict[tuple, int]) -> int:
    if "track_id" not in box:
        return _NO_TRACK
    return numbers.setdefault((frame["video_id"], box["track_id"]), len(numbers))
