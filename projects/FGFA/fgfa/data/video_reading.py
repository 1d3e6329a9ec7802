"""Reads videos of files, network streams and cameras, frame by frame."""

import importlib.util
import logging
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from fgfa.data.frame_clock import FrameClock
from fgfa.data.opencv_decoder import OpenCVDecoder
from fgfa.data.pyav_decoder import PyAVDecoder
from fgfa.data.video_decoder import DecodedFrame, Decoder, DecodingError
from fgfa.errors import InputError

_logger = logging.getLogger(__name__)
_URL = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt|rtp)://", re.IGNORECASE)
_PASSWORD = re.compile(r"(?<=://)[^/@]*@")
# A last frame that is shown for less than its share is no loss, of which this much of a frame is.
_SLACK = 0.9


class VideoReader:
    """Frames of a video: BGR images, uint8, (H, W, 3), upright, read as they are asked for.

    A change of the frame size within the video is passed on, except by OpenCV, which stands in
    where PyAV is not installed. Frames that cannot be decoded are left out and not counted; one
    warning tells where, and after which frame a video breaks off.

    Attributes:
        fps: frames a second, on the average.
        length: number of frames as the source states it or its duration suggests, or None.
        live: whether it is a camera or a stream of unknown length.
        problems: where frames were missing, and whether the video broke off; known at its end.
    """

    def __init__(self, source: str | int, timeout: float = 10.0) -> None:
        """Opens a video.

        Args:
            source: path of a video file, URL of a stream (`rtsp://`, `http://`, ...), or number of
                a camera.
            timeout: seconds after which a stream that sends nothing has broken off.

        Raises:
            InputError: if it is missing or cannot be read.
        """
        self._source, self._timeout = source, timeout
        self._is_stream = isinstance(source, str) and bool(_URL.match(source))
        self._name = _describe(source, self._is_stream)
        self.problems: list[str] = []
        self._decoder: Decoder | None = self._open()
        self.fps, self.length = self._decoder.fps, self._decoder.length
        self.live = self.length is None and (self._is_stream or isinstance(source, int))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields the images; raises as `timed`."""
        return (image for _, image in self.timed())

    def timed(
        self, start: int = 0, stop: int | None = None, step: int = 1
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Yields the frames of `range(start, stop, step)`, numbered from 0, as (seconds, image).

        The seconds are since frame 0, by the time stamps of the video. Frames that are not asked
        for are decoded, so that numbers are exact, but not converted.

        Raises:
            InputError: if there is not a single one.
        """
        count = 0
        for number, seconds, frame in self._decode(stop):
            count = number + 1
            if number >= start and (number - start) % step == 0:
                yield seconds, frame.to_bgr()
        if count <= start:
            raise InputError(f"{self._name} has {count} frames; frame {start} is not among them")

    def _decode(self, stop: int | None) -> Iterator[tuple[int, float, DecodedFrame]]:
        """Yields number, seconds and frame, up to number `stop`, and warns at the end."""
        decoder, self._decoder = self._decoder or self._open(), None
        clock = FrameClock(decoder.fps)
        count, end, reason = 0, 0.0, None
        self.problems = problems = []
        try:
            for frame in islice(decoder.frames(), stop):
                if decoder.bad_packets and not problems:
                    problems.append(f"frames are missing before frame {count}")
                seconds = clock(frame.stamp)
                end = seconds + (frame.duration or 1 / decoder.fps)
                yield count, seconds, frame
                count += 1
        except DecodingError as error:
            reason = str(error)
        if count != stop:
            ends_early = end < (decoder.duration or 0) - _SLACK / decoder.fps
            if ends_early and count < (decoder.length or 0):
                reason = reason or f"{end:.2f} of {decoder.duration:.2f} seconds"
            if count == 0:
                raise InputError(f"{self._name} has no frame that can be decoded")
            if reason:
                problems.append(f"it breaks off after frame {count - 1} ({reason})")
        if problems:
            _logger.warning("%s is damaged: %s", self._name, ", and ".join(problems))

    def _open(self) -> Decoder:
        if isinstance(self._source, str) and not self._is_stream:
            if Path(self._source).is_dir():
                raise InputError(f"{self._name} is a folder; name a video file")
            if not Path(self._source).is_file():
                raise InputError(f"{self._name} does not exist; check the path")
        try:
            return _open_decoder(self._source, self._is_stream, self._timeout)
        except DecodingError as error:
            raise InputError(f"{self._name} cannot be opened as a video: {error}") from error


def _open_decoder(source: str | int, is_stream: bool, timeout: float) -> Decoder:
    has_pyav = importlib.util.find_spec("av") is not None
    if isinstance(source, int):
        return OpenCVDecoder.of_camera(source)
    if is_stream:
        if has_pyav:
            return PyAVDecoder(source, timeout)
        return OpenCVDecoder.of_stream(source, timeout)
    # Without a folder, FFmpeg takes a file name such as "a:b.mp4" for a URL.
    path = os.path.abspath(source)
    return PyAVDecoder(path) if has_pyav else OpenCVDecoder.of_file(path)


def _describe(source: str | int, is_stream: bool) -> str:
    if isinstance(source, int):
        return f"camera {source}"
    return f"stream {_PASSWORD.sub('', source)}" if is_stream else f"video {source}"
