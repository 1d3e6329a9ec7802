"""Decodes videos with PyAV, which is FFmpeg."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fgfa.data.video_decoder import DEFAULT_FPS, DecodedFrame, DecodingError, is_plausible


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
        # Over UDP, which is the default, RTSP loses parts of frames.
        options = {"rtsp_transport": "tcp"} if source.startswith("rtsp") else {}
        try:
            self._container = av.open(source, timeout=timeout, options=options)
        except av.error.FFmpegError as error:
            raise self._named(error) from error
        self._stream = self._container.streams.best("video")
        if self._stream is None:
            self._container.close()
            raise DecodingError("it has no pictures")
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
        except self._av.error.FFmpegError:
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
        if "DURATION" in stream.metadata:  # Matroska's, "00:01:02.500000000"
            hours, minutes, seconds = stream.metadata["DURATION"].split(":")
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds) - start
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


def _upright(frame: Any) -> np.ndarray:
    image = frame.to_ndarray(format="bgr24")
    quarter_turns = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(image, quarter_turns))
