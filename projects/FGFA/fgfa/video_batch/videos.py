"""Finds the videos of a command line, and gives each a name of its own."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path

from fgfa.errors import InputError
from fgfa.files import refuse_special
from fgfa.video_batch.sources import image_paths, is_image, open_source

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov"}
    | {".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"}
)


@dataclass(frozen=True)
class Video:
    """A video to detect in.

    Attributes:
        path: a video file, or a folder of images.
        name: its path from the folder that all inputs have in common, with "/". Suffixes stay, so
            that no two videos share a name.
        size: bytes of the file, or number of images of the folder, by which results of another
            video of this name are told.
        length: number of frames as the file states it, 0 where it does not.
    """

    path: str
    name: str
    size: int
    length: int = 0


def find_videos(inputs: Sequence[str]) -> list[Video]:
    """Finds videos, each once, in the order of the inputs.

    Args:
        inputs: video files; folders, which are searched for files of a video's suffix and, where
            they hold none, for images, which make one video together; globs; and "@list.txt", a
            file with an input a line. Hidden files and links to folders are not searched.

    Raises:
        InputError: if an input gives no video.
    """
    roots: dict[str, str] = {}  # by path, the folder that a video is named from
    for entry in inputs:
        found = list(_search(entry))
        if not found:
            raise InputError(
                f"no video is found in {entry}; give video files, or folders of videos or images"
            )
        for root, path in found:
            roots.setdefault(os.path.abspath(path), os.path.abspath(root))
    common = os.path.commonpath(roots.values())
    return [
        Video(path, Path(os.path.relpath(path, common)).as_posix(), _size(path)) for path in roots
    ]


def longest_first(videos: Sequence[Video]) -> list[Video]:
    """Sorts videos by length, which is asked of each file."""
    with ThreadPoolExecutor(16) as pool:
        lengths = list(pool.map(_length, [video.path for video in videos]))
    measured = [replace(v, length=length) for v, length in zip(videos, lengths, strict=True)]
    return sorted(measured, key=lambda video: (-video.length, video.name))


def _search(entry: str, lists: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yields pairs of a root and a video's path, of an entry of lists that are in one another."""
    if entry.startswith("@"):
        if entry in lists:
            raise InputError(f"list {entry[1:]} names itself; take {entry} out of {lists[-1][1:]}")
        for line in _lines(entry[1:]):
            yield from _search(line, [*lists, entry])
    elif os.path.isfile(entry):
        if is_image(entry):
            raise InputError(f"{entry} is an image; give the folder of the video's images")
        yield os.path.dirname(entry), entry
    elif os.path.isdir(entry):
        yield from _search_folder(entry)
    elif has_magic(entry):
        for path in sorted(glob(entry, recursive=True)):
            if os.path.isdir(path) or _is_video(path):
                yield from ((_fixed_folder(entry), found) for _, found in _search(path))
    else:
        raise InputError(f"input {entry} does not exist; check the path")


def _lines(path: str) -> list[str]:
    try:
        refuse_special(path)
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"list {path} cannot be read ({error}); check the path") from error
    return [line.strip() for line in lines if line.strip()]


def _search_folder(top: str) -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = sorted(name for name in files if not name.startswith("."))
        videos = [name for name in names if _is_video(name)]
        if videos:
            yield from ((top, os.path.join(folder, name)) for name in videos)
        elif any(map(is_image, names)):
            yield (os.path.dirname(os.path.abspath(top)) if folder == top else top), folder


def _fixed_folder(pattern: str) -> str:
    """The last folder of a glob before its first wildcard."""
    while has_magic(pattern):
        pattern = os.path.dirname(pattern)
    return pattern


def _is_video(path: str) -> bool:
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def _size(path: str) -> int:
    return len(image_paths(path)) if os.path.isdir(path) else os.path.getsize(path)


def _length(path: str) -> int:
    try:
        return open_source(path).length or 0
    except InputError:  # told when its turn comes
        return 0
