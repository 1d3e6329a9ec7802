"""A small video for tests of batches."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgfa.data.video_writing import VideoWriter


@pytest.fixture
def write_images() -> Callable[[Path, int], None]:
    """A function that makes a folder of images, named from 0.png."""

    def write(folder: Path, count: int) -> None:
        folder.mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((32, 48, 3), number, np.uint8))

    return write


@pytest.fixture
def write_video() -> Callable[[Path, int], None]:
    """A function that makes a video of 10 frames a second."""

    def write(path: Path, count: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with VideoWriter(path, 10) as writer:
            for number in range(count):
                writer.write(np.full((32, 48, 3), 10 * number, np.uint8))

    return write
