"""Image files that are the frames of a video, or pictures of them."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path, PurePath

import cv2
import numpy as np
from detectron2.data.detection_utils import convert_PIL_to_numpy
from PIL import ImageOps

from fgfa.data.frame_reading import open_image
from fgfa.errors import InputError
from fgfa.files import atomic_write


def find_images(patterns: Sequence[str]) -> list[str]:
    """Finds the images of a video.

    Args:
        patterns: paths, or globs such as "frames/*.jpg".

    Returns:
        Paths in natural order, each file once: frame 2 comes before frame 10.

    Raises:
        InputError: if a pattern matches no file.
    """
    paths: dict[str, str] = {}
    for pattern in patterns:
        found = [pattern] if Path(pattern).is_file() else glob(pattern, recursive=True)
        files = {os.path.abspath(path): path for path in found if Path(path).is_file()}
        if not files:
            raise InputError(
                f"no image file matches {pattern!r}; give files, or a quoted glob such as "
                "'frames/*.jpg'"
            )
        paths.update(files)
    return [paths[path] for path in sorted(paths, key=_natural_key)]


def _natural_key(path: str) -> list[str | int]:
    # Every second part is a number, so that parts of two paths can be compared.
    parts = re.split(r"([0-9]+)", path)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def names_below_common_folder(paths: Sequence[str]) -> list[str]:
    """Names that tell files of different folders apart.

    Args:
        paths: files.

    Returns:
        The path of each from the deepest folder that holds all of them, with "/": "a.jpg" where
        they share a folder, "cat/a.jpg" and "dog/a.jpg" where they do not.
    """
    files = [os.path.abspath(path) for path in paths]
    folder = os.path.commonpath([os.path.dirname(file) for file in files])
    return [PurePath(os.path.relpath(file, folder)).as_posix() for file in files]


def read_images(paths: Sequence[str]) -> Iterator[np.ndarray]:
    """Yields BGR images, uint8, (H, W, 3), turned upright by their EXIF data.

    Raises:
        InputError: if a file is not an image.
    """
    return map(read_upright, paths)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes an image in the format of the path's suffix, whole or not at all.

    Args:
        path: the file.
        image: BGR, uint8, (H, W, 3).

    Raises:
        InputError: if it cannot be written.
    """
    with atomic_write(path) as temporary:
        if not cv2.imwrite(str(temporary), image):
            raise InputError(
                f"{path} cannot be written as an image; make room, or choose another name"
            )


def read_upright(path: str) -> np.ndarray:
    """Reads one image as `read_images` does."""
    with open_image(path) as image:
        image.load()
        # Pillow turns the image, and then fails to write EXIF data anew that has broken tags.
        with contextlib.suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
        return convert_PIL_to_numpy(image, "BGR")
