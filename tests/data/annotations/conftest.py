"""Frames of a video to annotate."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fgfa.data.annotations.video_boxes import VideoImages
from fgfa.data.annotations.video_images import find_video_images

WriteFrames = Callable[..., VideoImages]


@pytest.fixture
def write_frames(tmp_path: Path) -> WriteFrames:
    """A function that writes frames of 60 x 40 pixels to a folder of `frames`, and finds them."""

    def write(folder: str = "clip", count: int = 3, first: int = 0) -> VideoImages:
        path = tmp_path / "frames" / folder
        path.mkdir(parents=True)
        for index in range(first, first + count):
            Image.new("RGB", (60, 40)).save(path / f"{index}.png")
        return find_video_images(Path(folder).parts[0], tmp_path / "frames")

    return write
