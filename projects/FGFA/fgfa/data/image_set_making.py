"""Makes list files of ImageNet VID (`ImageSets/*.txt`) of the images in `Data/VID`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fgfa.data.folder_walk import walk_folders
from fgfa.errors import InputError

_SUFFIX = ".JPEG"
_STEM = re.compile(r"[0-9]{6,}")


@dataclass(frozen=True)
class FolderOfFrames:
    """A video in ImageNet VID's layout: images numbered without a gap.

    Attributes:
        path: its folder, relative to `Data/VID`.
        first: number of the first image.
        length: number of images.
    """

    path: str
    first: int
    length: int


def find_videos(data: Path, split: str) -> list[FolderOfFrames]:
    """All videos of a split, in order of their paths.

    Args:
        data: the folder `Data/VID`.
        split: a folder in it, such as "train". Videos are the folders at any depth that hold images
            named like `000000.JPEG`; links to folders are followed.

    Raises:
        InputError: there is no video, images are not named and numbered as they must be, or a
            folder cannot be read.
    """
    videos = []
    for folder, names in walk_folders(data / split):
        stems = [Path(name).stem for name in names if name.endswith(_SUFFIX)]
        if stems:
            videos.append(_video(folder, folder.relative_to(data).as_posix(), stems))
    if not videos:
        raise InputError(f"{data / split}: no folder here holds images *{_SUFFIX}; check the path.")
    return sorted(videos, key=lambda video: video.path)


def _video(folder: Path, path: str, stems: Sequence[str]) -> FolderOfFrames:
    wrong = next((stem for stem in stems if not _STEM.fullmatch(stem)), None)
    if wrong is not None or any(character.isspace() for character in path):
        raise InputError(
            f"{folder}: lists name images like 000000{_SUFFIX}, in folders without blanks; rename "
            f"{'the folder' if wrong is None else wrong + _SUFFIX}."
        )
    numbers = sorted(map(int, stems))
    for expected, number in enumerate(numbers, start=numbers[0]):
        if number != expected:
            raise InputError(
                f"{folder}: image {expected:06d}{_SUFFIX} is missing; lists need images that are "
                "numbered without a gap."
            )
    return FolderOfFrames(path, numbers[0], len(numbers))


def key_frame_lines(videos: Sequence[FolderOfFrames], count: int = 15) -> Iterator[str]:
    """Lines `path 1 key_frame length` of key frames, as in `VID_train_15frames.txt`.

    Of a video of more than `count` frames, they are the middles of `count` equal parts, as in the
    original's list; of others, all frames.

    Raises:
        InputError: a video's images do not begin with 000000, which such lines take for granted.
    """
    for video in videos:
        if video.first != 0:
            raise InputError(
                f"{video.path}: a list of key frames needs images that count from "
                f"{0:06d}{_SUFFIX}, not from {video.first:06d}{_SUFFIX}; rename them."
            )
        parts = min(count, video.length)
        for part in range(parts):
            yield f"{video.path} 1 {(2 * part + 1) * video.length // (2 * parts)} {video.length}"


def video_lines(videos: Sequence[FolderOfFrames]) -> Iterator[str]:
    """Lines `path first_global_id first_frame length`, as in `VID_val_videos.txt`."""
    global_id = 1
    for video in videos:
        yield f"{video.path} {global_id} {video.first} {video.length}"
        global_id += video.length


def frame_lines(videos: Sequence[FolderOfFrames]) -> Iterator[str]:
    """Lines `path/frame global_id` of all frames, as in `VID_val_frames.txt`.

    The global ids are those of `video_lines`.
    """
    global_id = 1
    for video in videos:
        for number in range(video.first, video.first + video.length):
            yield f"{video.path}/{number:06d} {global_id}"
            global_id += 1
