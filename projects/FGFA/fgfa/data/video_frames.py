"""The paths of a video's frames, small enough to stand in every frame's dataset dict."""

import dataclasses
import os
import re
from collections.abc import Sequence

# What is ahead of the last number of a path, the number, and the rest.
_NUMBERED = re.compile(r"(.*?)(\d{1,18})(\D*(?:\.\w+)?)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class VideoFrames:
    """Path of every frame of one video, clip or still: `len(frames)`, `frames[i]`.

    Numbered files cost a few bytes however long the video is. That matters because Detectron2
    pickles every frame's dict, and each holds the frames of its whole video.

    Attributes:
        prefix: what all paths begin with.
        middles: what follows in each path: numbers of a numbered sequence, or strings.
        digits: numbers are written with at least so many digits, zeros ahead.
        suffix: what all paths end with.
    """

    prefix: str
    middles: range | tuple[str, ...]
    digits: int = 6
    suffix: str = ""

    @classmethod
    def from_names(cls, names: Sequence[str]) -> "VideoFrames":
        """Makes it of explicit paths in temporal order, and finds the numbering if there is one."""
        names = tuple(names)
        numbered = cls._numbered(names)
        if numbered is not None:
            return numbered
        folder = f"{os.path.dirname(names[0])}/" if names else ""
        if not all(name.startswith(folder) for name in names):
            folder = ""
        return cls(folder, tuple(name[len(folder) :] for name in names), digits=0)

    @classmethod
    def _numbered(cls, names: tuple[str, ...]) -> "VideoFrames | None":
        """The sequence with a constant step that gives exactly these names, or None."""
        parts = [_NUMBERED.fullmatch(name) for name in names[:2]]
        if not parts or None in parts:
            return None
        prefix, first, suffix = parts[0].groups()
        step = int(parts[-1][2]) - int(first) or 1
        numbers = range(int(first), int(first) + step * len(names), step)
        candidate = cls(prefix, numbers, len(first), suffix)
        return candidate if tuple(candidate) == names else None

    def __len__(self) -> int:
        return len(self.middles)

    def __getitem__(self, index: int) -> str:
        return f"{self.prefix}{str(self.middles[index]).zfill(self.digits)}{self.suffix}"
