"""Frames to detect in, of images, a video or a camera, numbered and timed as in their source."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fgfa.data.image_files import find_images, names_below_common_folder, read_upright
from fgfa.data.video_decoder import DEFAULT_FPS
from fgfa.data.video_reading import VideoReader
from fgfa.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceFrame:
    """A frame and where it is from.

    Attributes:
        number: its number in the source, from 0.
        image: BGR, uint8, (H, W, 3).
        seconds: its time in the source, where that has times.
        name: its name, where it is a file: a path that tells it from all others.
    """

    number: int
    image: np.ndarray
    seconds: float | None = None
    name: str | None = None


class FrameSource(Protocol):
    """Some frames of a source, read as they are asked for.

    Attributes:
        files: the files that are read.
        fps: frames a second, of those that are asked for.
        length: how many these are, if it is known.
        live: whether they come as things happen.
        left_out: what could not be read so far, a sentence for each frame or gap.
    """

    files: Sequence[str]
    fps: float
    length: int | None
    live: bool
    left_out: Sequence[str]

    def __iter__(self) -> Iterator[SourceFrame]: ...


def choose_frames(start: int = 0, end: int | None = None, stride: int = 1) -> slice:
    """The choice of frames `start`, `start + stride`, ... before `end`, or to the last one.

    Raises:
        InputError: if it is no choice.
    """
    if start < 0 or stride < 1:
        raise InputError(f"start {start} is below 0, or stride {stride} below 1")
    if end is not None and end <= start:
        raise InputError(f"end {end} is not behind start {start}, so that no frame is left")
    return slice(start, end, stride)


class ImageSource:
    """Image files as frames, in natural order of their names; see `FrameSource`."""

    def __init__(self, patterns: Sequence[str], chosen: slice, skips_corrupt: bool = False) -> None:
        """Finds the images.

        Args:
            patterns: paths, or globs such as "frames/*.jpg".
            chosen: see `choose_frames`.
            skips_corrupt: leaves out images that cannot be read, with a warning.

        Raises:
            InputError: if a pattern matches no file, or there is no frame to choose.
        """
        paths = find_images(patterns)
        self._numbers = range(len(paths))[chosen]
        if not self._numbers:
            raise InputError(f"there are {len(paths)} images; {chosen.start} is not among them")
        self._names = names_below_common_folder(paths)[chosen]
        self.files = paths[chosen]
        self.fps = DEFAULT_FPS / chosen.step
        self.length = len(self._numbers)
        self.live = False
        self.left_out: list[str] = []
        self._skips_corrupt = skips_corrupt

    def __iter__(self) -> Iterator[SourceFrame]:
        for number, name, path in zip(self._numbers, self._names, self.files, strict=True):
            try:
                image = read_upright(path)
            except InputError as error:
                if not self._skips_corrupt:
                    raise
                self.left_out.append(str(error))
                logger.warning("Left out: %s", error)
                continue
            yield SourceFrame(number, image, name=name)


class VideoSource:
    """Frames of a video, network stream or camera; see `FrameSource`."""

    def __init__(self, source: str | int, chosen: slice) -> None:
        """Opens the source.

        Args:
            source: see `VideoReader`.
            chosen: see `choose_frames`.

        Raises:
            InputError: if it cannot be opened.
        """
        self._reader = VideoReader(source)
        self._chosen = chosen
        self.files = [source] if isinstance(source, str) else []
        self.fps = self._reader.fps / chosen.step
        self.length = _count(chosen, self._reader.length)
        self.live = self._reader.live

    @property
    def left_out(self) -> Sequence[str]:
        return self._reader.problems

    def __iter__(self) -> Iterator[SourceFrame]:
        start, stop, step = self._chosen.start, self._chosen.stop, self._chosen.step
        for index, (seconds, image) in enumerate(self._reader.timed(start, stop, step)):
            yield SourceFrame(start + index * step, image, seconds)


def _count(chosen: slice, length: int | None) -> int | None:
    if length is None:
        length = chosen.stop
    return None if length is None else len(range(*chosen.indices(length)))
