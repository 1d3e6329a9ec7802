"""What a decoder of videos gives, whichever library it stands on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# Kinds of files that hold their pictures, by FFmpeg's names. Playlists, which FFmpeg opens as well,
# name other files.
CONTAINERS = (
    *("apng", "asf", "avi", "dv", "flv", "gif", "h264", "hevc", "ivf", "m4v", "matroska", "mjpeg"),
    *("mov", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "ogg", "rm", "yuv4mpegpipe"),
)
# Frames a second where a source does not tell; that of most ImageNet VID videos.
DEFAULT_FPS = 25.0


class DecodingError(Exception):
    """A source that is no video, or breaks off; the message is the decoder's."""


@dataclass(frozen=True)
class DecodedFrame:
    """A frame on its way out of a decoder.

    Attributes:
        stamp: the time at which it is shown, in seconds from anywhere, or None.
        duration: how long it is shown, in seconds, or None.
        to_bgr: makes it an upright BGR image, uint8, (H, W, 3).
    """

    stamp: float | None
    duration: float | None
    to_bgr: Callable[[], np.ndarray]


class Decoder(Protocol):
    """Frames of one source, to be read once.

    Attributes:
        fps: frames a second, on the average.
        length: number of frames as the source states it, if it does.
        duration: seconds as the source states them, if it does.
        bad_packets: number of packets so far that held no frame.
    """

    fps: float
    length: int | None
    duration: float | None
    bad_packets: int

    def frames(self) -> Iterator[DecodedFrame]:
        """Yields what can be decoded.

        Raises:
            DecodingError: where the source breaks off.
        """


def is_plausible(fps: float | None) -> bool:
    """Whether a number of frames a second may be true; formats of whole milliseconds claim 1000."""
    return bool(fps) and 0 < fps < 1000
