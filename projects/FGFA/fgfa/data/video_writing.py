"""Writes videos, frame by frame."""

import os
from contextlib import AbstractContextManager
from fractions import Fraction

import cv2
import numpy as np

from fgfa.data.frame_clock import FrameClock
from fgfa.errors import InputError

# Of presentation times, in seconds; the unit that MPEG streams use.
_TIME_BASE = Fraction(1, 90_000)


class VideoWriter(AbstractContextManager):
    """Writes frames as an .mp4 file: H.264 where PyAV is installed, else MPEG-4 by OpenCV.

    The file can be played after the `with` block, even where an exception ended it.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float) -> None:
        """Names the file, which is made with the first frame.

        Args:
            path: a name that ends in .mp4.
            fps: frames a second, for frames that come without a time.
        """
        # Without a folder, FFmpeg takes a file name such as "a:b.mp4" for a URL.
        self._path = os.path.abspath(path)
        self._fps = fps
        self._clock = FrameClock(fps)
        self._frame_size: tuple[int, int] | None = None
        self._sink: _H264Sink | _OpenCVSink | None = None

    def write(self, frame: np.ndarray, seconds: float | None = None) -> None:
        """Appends a frame.

        Args:
            frame: BGR image, uint8, (H, W, 3).
            seconds: when it is shown, from any zero; the video starts with its first frame. What
                is no later than the frame before is moved behind it. OpenCV shows each frame
                equally long.

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
        even = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        self._sink.write(even, self._clock(seconds))

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
    def __init__(self, path: str, fps: float, height: int, width: int) -> None:
        import av

        self._container = av.open(path, "w")
        # Frames that are predicted from later ones would end the file, as its header states it,
        # before its last frame, where the rate varies.
        options = {"crf": "20", "bf": "0"}
        rate = Fraction(fps).limit_denominator(_TIME_BASE.denominator)
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        self._stream.height, self._stream.width = height, width
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _TIME_BASE
        self._make_frame = av.VideoFrame.from_ndarray

    def write(self, frame: np.ndarray, seconds: float) -> None:
        picture = self._make_frame(frame, format="bgr24")
        picture.pts, picture.time_base = round(seconds / _TIME_BASE), _TIME_BASE
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


class _OpenCVSink:
    def __init__(self, path: str, fps: float, height: int, width: int) -> None:
        codec = cv2.VideoWriter_fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(path, codec, fps, (width, height))

    def write(self, frame: np.ndarray, seconds: float) -> None:
        self._writer.write(frame)

    def close(self) -> None:
        self._writer.release()
