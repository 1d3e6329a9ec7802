"""Decodes videos of files, streams and cameras with OpenCV."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from fgfa.data.video_decoder import (
    CONTAINERS,
    DEFAULT_FPS,
    DecodedFrame,
    DecodingError,
    is_plausible,
)
from fgfa.limits import MOST_PIXELS

# Bad packets in a row after which a file is given up.
_FILE_ATTEMPTS = 64
# Environment variable from which OpenCV takes options of FFmpeg when it opens a source.
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_options_lock = threading.Lock()


class OpenCVDecoder:
    """Decodes with OpenCV, which turns frames upright and scales them to the size of the first."""

    def __init__(
        self,
        capture: cv2.VideoCapture,
        stamp: Callable[[cv2.VideoCapture], float | None],
        attempts: int,
    ) -> None:
        """Takes what OpenCV opened.

        Args:
            capture: the source.
            stamp: gives the time stamp of the frame that was read last.
            attempts: packets without a frame, in a row, that end the video.

        Raises:
            DecodingError: if it is not open, or its frames are too large.
        """
        if not capture.isOpened():
            raise DecodingError("OpenCV has no reader for it")
        width, height = map(capture.get, (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MOST_PIXELS:
            raise DecodingError(
                f"frames of {width:g}x{height:g} pixels are more than {MOST_PIXELS}"
            )
        self._capture, self._stamp, self._attempts = capture, stamp, attempts
        self.bad_packets = 0
        fps = capture.get(cv2.CAP_PROP_FPS)
        length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.fps = fps if is_plausible(fps) else DEFAULT_FPS
        self.length = length if length > 0 else None
        self.duration = length / fps if self.length and is_plausible(fps) else None

    @classmethod
    def of_camera(cls, number: int) -> "OpenCVDecoder":
        """Opens a camera; raises as the constructor."""
        return cls(cv2.VideoCapture(number), lambda _: time.monotonic(), attempts=1)

    @classmethod
    def of_file(cls, path: str) -> "OpenCVDecoder":
        """Opens a file, which is no playlist; raises as the constructor."""
        with _only_containers():
            capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        return cls(capture, _position, _FILE_ATTEMPTS)

    @classmethod
    def of_stream(cls, url: str, timeout: float) -> "OpenCVDecoder":
        """Opens a stream that breaks off after `timeout` seconds; raises as the constructor."""
        limit = round(1000 * timeout)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        return cls(cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits), _position, attempts=1)

    def frames(self) -> Iterator[DecodedFrame]:
        failures = 0
        while failures < self._attempts:
            if not self._capture.grab():
                failures += 1
                continue
            self.bad_packets += failures
            failures = 0
            yield DecodedFrame(self._stamp(self._capture), None, self._retrieve)
        self._capture.release()

    def _retrieve(self) -> np.ndarray:
        return self._capture.retrieve()[1]


@contextmanager
def _only_containers() -> Iterator[None]:
    """Adds to the options of whoever runs the program; for all that opens in the block."""
    allowed = f"format_whitelist;{','.join(CONTAINERS)}"
    with _options_lock:
        former = os.environ.get(_OPTIONS)
        os.environ[_OPTIONS] = f"{former}|{allowed}" if former else allowed
        try:
            yield
        finally:
            os.environ.pop(_OPTIONS)
            if former is not None:
                os.environ[_OPTIONS] = former


def _position(capture: cv2.VideoCapture) -> float | None:
    seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    # A file without time stamps gives 0 for every frame.
    return seconds if seconds > 0 or capture.get(cv2.CAP_PROP_POS_FRAMES) <= 1 else None
