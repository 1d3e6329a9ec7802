"""Reads and writes videos and folders of images, frame by frame."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from glob import glob
from pathlib import Path

import cv2
import numpy as np
from detectron2.data.detection_utils import read_image

from fgfa.errors import InputError

# Frames a second where a source does not tell; that of most ImageNet VID videos.
DEFAULT_FPS = 25.0


def find_images(patterns: Sequence[str]) -> list[str]:
    """Finds the images of a video.

    Args:
        patterns: paths, or globs such as "frames/*.jpg".

    Returns:
        Paths in natural order: frame 2 comes before frame 10.

    Raises:
        InputError: if a pattern matches no file.
    """
    paths: set[str] = set()
    for pattern in patterns:
        found = [pattern] if Path(pattern).is_file() else glob(pattern, recursive=True)
        files = [path for path in found if Path(path).is_file()]
        if not files:
            raise InputError(
                f"no image file matches {pattern!r}; give files, or a quoted glob such as "
                "'frames/*.jpg'"
            )
        paths.update(files)
    return sorted(paths, key=_natural_key)


def _natural_key(path: str) -> list[str | int]:
    # Every second part is a number, so that parts of two paths can be compared.
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", path)]


def read_images(paths: Sequence[str]) -> Iterator[np.ndarray]:
    """Yields BGR images, uint8, (H, W, 3), turned upright by their EXIF data.

    Raises:
        InputError: if a file is not an image.
    """
    for path in paths:
        try:
            yield read_image(path, format="BGR")
        except (OSError, SyntaxError) as error:  # PIL reports a broken PNG as SyntaxError
            raise InputError(f"{path} cannot be read as an image ({error})") from error


class VideoReader:
    """Frames of a video file or camera: BGR images, uint8, (H, W, 3), read as they are asked for.

    Attributes:
        fps: frames a second.
        length: number of frames as the file states it, or None.
    """

    def __init__(self, source: str | int) -> None:
        """Opens a video.

        Args:
            source: path of a video file, or number of a camera.

        Raises:
            InputError: if it is missing or cannot be read.
        """
        if isinstance(source, str) and not Path(source).is_file():
            raise InputError(f"video {source} does not exist; check the path")
        self._name = f"camera {source}" if isinstance(source, int) else f"video {source}"
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise InputError(f"{self._name} cannot be opened; OpenCV has no reader for it")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else DEFAULT_FPS
        length = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.length = length if length > 0 else None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields the frames that are left.

        Raises:
            InputError: if there is not a single one.
        """
        success, frame = self._capture.read()
        if not success:
            raise InputError(f"{self._name} has no frame that can be read")
        while success:
            yield frame
            success, frame = self._capture.read()


class VideoWriter(AbstractContextManager):
    """Writes frames as an .mp4 file: H.264 where PyAV is installed, else MPEG-4 by OpenCV.

    The file can be played after the `with` block, even where an exception ended it.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """Names the file, which is made with the first frame.

        Args:
            path: a name that ends in .mp4.
            fps: frames a second.
        """
        self._path = path
        self._fps = fps
        self._frame_size: tuple[int, int] | None = None
        self._sink: _H264Sink | _OpenCVSink | None = None

    def write(self, frame: np.ndarray) -> None:
        """Appends a BGR image, uint8, (H, W, 3).

        Raises:
            InputError: if its size is not that of the first frame.
        """
        size = frame.shape[:2]
        if self._sink is None:
            self._frame_size = size
            sink_class = _H264Sink if _has_h264() else _OpenCVSink
            # Both need even sides; an odd one is widened below by one pixel.
            self._sink = sink_class(self._path, self._fps, *(side + side % 2 for side in size))
        if size != self._frame_size:
            raise InputError(
                f"a frame of {size[1]}x{size[0]} pixels follows frames of "
                f"{self._frame_size[1]}x{self._frame_size[0]}, which one .mp4 cannot hold; "
                "write to a folder instead"
            )
        bottom, right = (side % 2 for side in size)
        self._sink.write(cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE))

    def __exit__(self, *exception: object) -> None:
        if self._sink is not None:
            self._sink.close()


def _has_h264() -> bool:
    try:
        import av
    except ImportError:
        return False
    return "libx264" in av.codecs_available


class _H264Sink:
    def __init__(self, path: Path, fps: float, height: int, width: int) -> None:
        import av

        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": "20"}
        )
        self._stream.height, self._stream.width = height, width
        self._stream.pix_fmt = "yuv420p"
        self._make_frame = av.VideoFrame.from_ndarray

    def write(self, frame: np.ndarray) -> None:
        self._container.mux(self._stream.encode(self._make_frame(frame, format="bgr24")))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


class _OpenCVSink:
    def __init__(self, path: Path, fps: float, height: int, width: int) -> None:
        codec = cv2.VideoWriter_fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(path), codec, fps, (width, height))

    def write(self, frame: np.ndarray) -> None:
        self._writer.write(frame)

    def close(self) -> None:
        self._writer.release()
