"""List files of ImageNet VID (`ImageSets/*.txt`): which frames of which clips a data set has."""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fgfa.data.inside_paths import is_inside
from fgfa.data.video_frames import VideoFrames
from fgfa.errors import InputError
from fgfa.files import refuse_special

logger = logging.getLogger(__name__)

_MOST_DIGITS = 15  # of a number, so that sums of them are exact in any type
_EXPECTED = "expected 'path id' (a still) or 'path first_global_id first_frame length' (a video)"


@dataclass(frozen=True)
class ListedClip:
    """What one line of a list stands for.

    Attributes:
        video_id: the path in the line; with the first frame's number where several clips of the
            list have the same path.
        stems: path of every frame of the clip, relative to `Data/<subset>`, without extension.
        listed: indices of the frames in the clip that belong to the data set.
        first_image_id: image id of the first of them; the ids of the others follow.
    """

    video_id: str
    stems: VideoFrames
    listed: range
    first_image_id: int


@dataclass(frozen=True)
class _Line:
    """One line of the list: its number in the file, the path and the numbers behind it."""

    number: int
    path: str
    columns: tuple[int, ...]


def read_image_set(path: Path, key_frames: bool | None = None) -> list[ListedClip]:
    """Reads a list file.

    Lines of two fields are stills. Lines of four fields are either videos, of which every frame is
    listed and frame `first_frame + j` has the global id `first_global_id + j`, or key frames, where
    `path 1 key_frame length` lists one frame of the video whose files are numbered 0..length-1
    (`VID_train_15frames.txt` of the original).

    Args:
        path: the list file.
        key_frames: whether lines of four fields are key frames. By default they are where several
            lines have all the same second column, since global ids of videos differ.

    Returns:
        The clips in the order of the list. Image ids of videos are the global ids, those of a list
        of stills its second column where that differs from line to line (as in the original's
        frame lists), and others are numbered by line.

    Raises:
        InputError: a line or the list cannot be used.
    """
    lines = _read_lines(path)
    videos = [line for line in lines if len(line.columns) == 3]
    if key_frames is None:
        key_frames = len(videos) > 1 and len({line.columns[0] for line in videos}) == 1
    logger.info("%s: %d lines%s", path, len(lines), ", of key frames" if key_frames else "")

    if key_frames:
        return [
            _key_frame(path, line) if len(line.columns) == 3 else _still(line, line.number)
            for line in lines
        ]
    if not videos and len({line.columns for line in lines}) == len(lines):
        return [_still(line, line.columns[0]) for line in lines]
    past_ids = _last_global_id(path, videos)
    clips_of = Counter(line.path for line in videos)
    return [
        _video(line, clips_of[line.path] > 1)
        if len(line.columns) == 3
        else _still(line, past_ids + line.number)
        for line in lines
    ]


def _read_lines(path: Path) -> list[_Line]:
    try:
        refuse_special(path)
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: the list file cannot be read ({error.strerror}).") from error
    lines = [
        _parse_line(path, number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    if not lines:
        raise InputError(f"{path}: the list is empty; {_EXPECTED} in each line.")
    return lines


def _parse_line(path: Path, number: int, text: str) -> _Line:
    where = f"{path}, line {number}"
    name, *columns = text.split()
    if len(columns) not in (1, 3):
        raise InputError(
            f"{where}: {len(columns) + 1} fields in '{text.strip():.80}'; {_EXPECTED}."
        )
    if not is_inside(name):
        raise InputError(
            f"{where}: the path '{name:.80}' leads out of the data set; name frames below its "
            "folders Data and Annotations."
        )
    if not all(column.isdecimal() and len(column) <= _MOST_DIGITS for column in columns):
        raise InputError(
            f"{where}: '{text.strip():.80}' has something else than whole numbers behind the path; "
            f"{_EXPECTED}."
        )
    line = _Line(number, name, tuple(map(int, columns)))
    if len(columns) == 3 and (line.columns[0] < 1 or line.columns[2] < 1):
        raise InputError(
            f"{where}: global ids count from 1 and a video has at least one frame, "
            f"unlike '{text.strip()}'."
        )
    return line


def _last_global_id(path: Path, videos: list[_Line]) -> int:
    """The highest global id of the videos, 0 without videos, once they are known to be distinct."""
    last, owner = 0, None
    for line in sorted(videos, key=lambda line: line.columns[0]):
        first_id, _, length = line.columns
        if first_id <= last:
            raise InputError(
                f"{path}, line {line.number}: global id {first_id} is also that of a frame of "
                f"line {owner}; give every frame an id of its own."
            )
        last, owner = first_id + length - 1, line.number
    return last


def _still(line: _Line, image_id: int) -> ListedClip:
    return ListedClip(line.path, VideoFrames.from_names([line.path]), range(1), image_id)


def _video(line: _Line, path_repeats: bool) -> ListedClip:
    first_id, first_frame, length = line.columns
    numbers = range(first_frame, first_frame + length)
    video_id = f"{line.path}/{first_frame:06d}" if path_repeats else line.path
    return ListedClip(video_id, VideoFrames(f"{line.path}/", numbers), range(length), first_id)


def _key_frame(path: Path, line: _Line) -> ListedClip:
    _, key_frame, length = line.columns
    if key_frame >= length:
        raise InputError(
            f"{path}, line {line.number}: key frame {key_frame} is not one of the {length} frames "
            f"0..{length - 1} of {line.path}."
        )
    frames = VideoFrames(f"{line.path}/", range(length))
    return ListedClip(line.path, frames, range(key_frame, key_frame + 1), line.number)
