"""Decodes videos with PyAV, which is FFmpeg."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from fgfa.data.video_decoder import (
    CONTAINERS,
    DEFAULT_FPS,
    DecodedFrame,
    DecodingError,
    is_plausible,
)
from fgfa.limits import MOST_PIXELS


class PyAVDecoder:
    """Decodes with FFmpeg, ahead of the reader in threads of its own."""

    def __init__(self, source: str, timeout: float | None = None) -> None:
        """Opens a file or stream.

        Args:
            source: path or URL.
            timeout: seconds after which a stream that sends nothing has broken off.

        Raises:
            DecodingError: if it has no pictures, or does not answer.
        """
        import av

        self._av = av
        self._timeout = timeout
        try:
            self._container = av.open(
                source, timeout=timeout, options=_options(source), **_lenient(av.__version__)
            )
        except av.error.FFmpegError as error:
            raise self._named(error) from error
        self._stream = self._container.streams.best("video")
        if self._stream is None or self._stream.codec_context is None:
            self._container.close()
            raise DecodingError("it has no pictures, or none of a known kind")
        self._stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        self.bad_packets = 0
        self.duration = self._stated_duration()
        self.fps = self._average_fps()
        self.length = self._stream.frames or round((self.duration or 0) * self.fps) or None
        # Threads for whole frames keep some back, for which a live stream does not wait.
        self._stream.thread_type = "AUTO" if self.length else "SLICE"

    def frames(self) -> Iterator[DecodedFrame]:
        with self._container:
            try:
                for packet in self._container.demux(self._stream):
                    yield from self._decode(packet)
            except self._av.error.FFmpegError as error:
                yield from self._decode(None)
                raise self._named(error) from error

    def _named(self, error: Exception) -> DecodingError:
        if isinstance(error, self._av.error.ExitError):
            return DecodingError(f"nothing came for {self._timeout:g} seconds")
        return DecodingError(error.strerror)

    def _decode(self, packet: Any) -> Iterator[DecodedFrame]:
        try:
            frames = self._stream.decode(packet)
        # A ValueError where the codec could not be opened, from PyAV 19 on.
        except (self._av.error.FFmpegError, ValueError):
            self.bad_packets += 1
            return
        for frame in frames:
            yield DecodedFrame(
                frame.time,
                float(frame.duration * frame.time_base) if frame.duration else None,
                lambda frame=frame: _upright(frame),
            )

    def _stated_duration(self) -> float | None:
        stream = self._stream
        if stream.duration:
            return float(stream.duration * stream.time_base)
        start = float((stream.start_time or 0) * stream.time_base)
        # Matroska's, "00:01:02.500000000"
        stated = re.fullmatch(r"(\d\d):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))
        if stated:
            hours, minutes, seconds = map(float, stated.groups())
            return 3600 * hours + 60 * minutes + seconds - start
        # That of the file is that of its longest stream.
        if self._container.duration and len(self._container.streams) == 1:
            return self._container.duration / 1e6 - start
        return None

    def _average_fps(self) -> float:
        rates = [self._stream.average_rate, self._stream.guessed_rate]
        # What is called the average is the demuxer's default where nothing states a duration.
        if self.duration is None:
            rates.reverse()
        return next((float(rate) for rate in rates if is_plausible(rate)), DEFAULT_FPS)


def _lenient(version: str) -> dict[str, str]:
    """Arguments with which texts in a file may be broken; from release 19 on they always may."""
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


def _options(source: str) -> dict[str, str]:
    if source.startswith("rtsp"):
        return {"rtsp_transport": "tcp"}  # over UDP, the default, parts of frames are lost
    return {} if "://" in source else {"format_whitelist": ",".join(CONTAINERS)}


def _upright(frame: Any) -> np.ndarray:
    image = frame.to_ndarray(format="bgr24")
    quarter_turns = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(image, quarter_turns))
