"""The frames of a video file or of a folder of images."""

import os
from collections.abc import Iterator
from pathlib import Path

from fgfa.data.frame_source import (
    FrameSource,
    ImageSource,
    SourceFrame,
    VideoSource,
    choose_frames,
)
from fgfa.errors import InputError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def is_image(path: str) -> bool:
    """Whether a file is an image by its suffix."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def image_paths(folder: str) -> list[str]:
    """The images of a folder, not of folders in it."""
    names = (name for name in os.listdir(folder) if not name.startswith("."))
    return [os.path.join(folder, name) for name in names if is_image(name)]


def open_source(path: str, skips_corrupt: bool = False) -> FrameSource:
    """Opens a video file or a folder of images, of which it may leave out those that are corrupt.

    Raises:
        InputError: if it cannot be opened.
    """
    if os.path.isdir(path):
        return ImageSource(image_paths(path), choose_frames(), skips_corrupt)
    return VideoSource(path, choose_frames())


def read_frames(source: FrameSource) -> Iterator[SourceFrame]:
    """Yields all frames.

    Raises:
        InputError: whatever goes wrong in reading.
    """
    try:
        yield from source
    except InputError:
        raise
    except Exception as error:  # decoders raise many kinds for broken files
        raise InputError(f"{source.files[0]} cannot be read ({error})") from error
