"""Videos as they come: turned, of varying rate, damaged, or none at all."""

import http.server
import logging
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgfa.data.video_reading import VideoReader
from fgfa.errors import InputError

av = pytest.importorskip("av")
# PyAV imports this with the first stream, which fails where `backend` has hidden it by then.
pytest.importorskip("av.subtitles.stream")
TIME_BASE = Fraction(1, 1000)


@pytest.fixture(params=["av", "opencv"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "opencv":
        monkeypatch.setitem(sys.modules, "av", None)
    return request.param


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    last: float = 0.1,
) -> Path:
    """Writes BGR images of one size, 10 a second or at the times given; the last for a time."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=10, options={"g": "5", "bf": "0"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = TIME_BASE
        for time, image in zip(times or np.arange(len(images)) / 10, images, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(time / TIME_BASE), TIME_BASE
            container.mux(stream.encode(frame))
        packets = stream.encode()
        if packets:
            packets[-1].duration = round(last / packets[-1].time_base)
        container.mux(packets)
    return path


def grays(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Gray images of levels 0, 10, ..."""
    return [np.full((height, width, 3), 10 * index, np.uint8) for index in range(count)]


def noise(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(count)]


def levels(frames: Sequence[np.ndarray]) -> list[int]:
    return [round(frame.mean() / 10) for frame in frames]


def turn(path: Path, degrees: int) -> None:
    """Changes the display matrix of an .mp4 file, which turns its pictures clockwise."""
    content = bytearray(path.read_bytes())
    # Behind the name: version and flags, five times and numbers, and 16 bytes of other things.
    start = content.index(b"tkhd") + 4 + 24 + 16
    one = 1 << 16
    sine, cosine = {90: (one, 0), 180: (0, -one), 270: (-one, 0)}[degrees]
    content[start : start + 36] = struct.pack(
        ">9i", cosine, sine, 0, -sine, cosine, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_video_is_read_upright(backend: str, tmp_path: Path, degrees: int):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 200
    path = write_video(tmp_path / "turned.mp4", [image] * 3)
    turn(path, degrees)
    upright = np.rot90(image, -degrees // 90)
    frames = list(VideoReader(str(path)))
    assert len(frames) == 3
    for frame in frames:
        assert frame.shape == upright.shape
        assert np.abs(frame.astype(int) - upright).mean() < 5


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_times_are_those_of_the_video(backend: str, tmp_path: Path, suffix: str):
    times = [0, 0.1, 0.15, 0.5, 0.6, 1.6, 1.7]
    path = write_video(tmp_path / f"varying.{suffix}", grays(7), times)
    reader = VideoReader(str(path))
    assert [seconds for seconds, _ in reader.timed()] == pytest.approx(times, abs=2e-3)
    if suffix == "mp4":
        assert reader.length == 7
        assert reader.fps == pytest.approx(7 / 1.8, rel=0.1)


def test_video_without_time_stamps_has_times(tmp_path: Path):
    path = write_video(tmp_path / "bare.h264", grays(5))
    reader = VideoReader(str(path))
    assert (reader.length, reader.live) == (None, False)
    assert [seconds for seconds, _ in reader.timed()] == pytest.approx(np.arange(5) / reader.fps)


def test_frames_are_chosen_by_number(backend: str, tmp_path: Path):
    path = str(write_video(tmp_path / "video.mp4", grays(12)))
    chosen = list(VideoReader(path).timed(3, 10, 2))
    assert levels([frame for _, frame in chosen]) == [3, 5, 7, 9]
    assert [seconds for seconds, _ in chosen] == pytest.approx([0.3, 0.5, 0.7, 0.9])
    with pytest.raises(InputError, match=r"video\.mp4 has 12 frames; frame 12 is not among them"):
        list(VideoReader(path).timed(12))


def test_video_can_be_read_again(backend: str, tmp_path: Path):
    reader = VideoReader(str(write_video(tmp_path / "video.mp4", grays(4))))
    assert levels(list(reader)) == levels(list(reader)) == [0, 1, 2, 3]


def test_video_of_one_frame(backend: str, tmp_path: Path):
    reader = VideoReader(str(write_video(tmp_path / "one.mp4", grays(1))))
    assert reader.length == 1
    assert 0 < reader.fps < 1000
    assert len(list(reader)) == 1


@pytest.mark.parametrize(
    ("pixels", "height", "width"),
    [
        *[("gray", 47, 63), ("gray10le", 47, 63), ("bgra", 47, 63), ("bgr0", 47, 63)],
        *[("yuv420p10le", 48, 64), ("yuva420p", 48, 64)],
    ],
)
def test_pixel_formats_and_odd_sizes_become_bgr(
    backend: str, tmp_path: Path, pixels: str, height: int, width: int
):
    image = np.zeros((height, width, 3), np.uint8)
    image[:] = (90, 90, 90) if pixels.startswith("gray") else (200, 30, 90)
    path = write_video(tmp_path / "video.mkv", [image] * 2, codec="ffv1", pixels=pixels)
    for frame in VideoReader(str(path)):
        assert (frame.shape, frame.dtype) == (image.shape, np.uint8)
        np.testing.assert_allclose(frame, image, atol=3)


def test_change_of_size_is_passed_on(tmp_path: Path):
    parts = [
        write_video(tmp_path / "a.ts", grays(3)),
        write_video(tmp_path / "b.ts", grays(4, 64, 96)),
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    shapes = [frame.shape for frame in VideoReader(str(path))]
    assert shapes == [(48, 64, 3)] * 3 + [(64, 96, 3)] * 4


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_truncated_video_gives_what_is_left_and_one_warning(
    backend: str, tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
):
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = write_video(tmp_path / f"cut.{suffix}", noise(40), options=options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with caplog.at_level(logging.WARNING, "fgfa"):
        count = len(list(VideoReader(str(path))))
    assert 15 < count < 30
    (record,) = caplog.records
    assert f"cut.{suffix} is damaged: " in record.message
    assert f"it breaks off after frame {count - 1} (" in record.message
    assert "of 4.00 seconds" in record.message


def test_damage_in_the_middle_leaves_the_rest_and_one_warning(
    backend: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = write_video(tmp_path / "hurt.mp4", noise(40))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "fgfa"):
        times = [seconds for seconds, _ in VideoReader(str(path)).timed()]
    assert 30 < len(times) < 40
    assert times[-1] == pytest.approx(3.9)
    (record,) = caplog.records
    assert "frames are missing before frame" in record.message


def test_whole_video_gives_no_warning(
    backend: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for suffix in ["mp4", "mkv", "ts"]:
        path = write_video(tmp_path / f"video.{suffix}", grays(10), [*(np.arange(9) / 10), 1.3])
        assert len(list(VideoReader(str(path)))) == 10
    list(VideoReader(str(tmp_path / "video.mp4")).timed(stop=5))
    path = write_video(tmp_path / "long.mp4", grays(10), last=3)
    assert VideoReader(str(path)).fps == pytest.approx(10 / 3.9)
    assert len(list(VideoReader(str(path)))) == 10
    assert not caplog.records


def write_nothing(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_garbage(path: Path) -> None:
    """A video whose header is whole, and nothing else."""
    write_video(path, noise(10), options={"movflags": "faststart"})
    content = path.read_bytes()
    start = content.index(b"mdat") + 4
    path.write_bytes(content[:start] + bytes(len(content) - start))


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.touch(), "cannot be opened as a video"),
        (lambda path: path.write_text("not a video"), "cannot be opened as a video"),
        (write_nothing, "cannot be opened as a video"),
        (write_sound, "cannot be opened as a video"),
        (write_garbage, "has no frame that can be decoded"),
    ],
)
def test_no_video_is_one_sentence(
    backend: str, tmp_path: Path, write: Callable[[Path], None], sentence: str
):
    write(tmp_path / "bad.mp4")
    with pytest.raises(InputError, match=rf"video .*bad\.mp4 {sentence}"):
        list(VideoReader(str(tmp_path / "bad.mp4")))


def test_frames_that_are_too_large_are_not_decoded(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = str(write_video(tmp_path / "video.mp4", grays(2)))
    limit = f"fgfa.data.{'pyav' if backend == 'av' else 'opencv'}_decoder.MOST_PIXELS"
    monkeypatch.setattr(limit, 48 * 64)
    assert len(list(VideoReader(path))) == 2
    monkeypatch.setattr(limit, 48 * 64 - 1)
    with pytest.raises(InputError, match=r"64x48 pixels are more than|no frame that can be decode"):
        list(VideoReader(path))


def test_options_of_opencv_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, name = str(write_video(tmp_path / "video.mp4", grays(1))), "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setenv(name, "rtsp_transport;udp")
    VideoReader(path)
    assert os.environ[name] == "rtsp_transport;udp"
    monkeypatch.delenv(name)
    VideoReader(path)
    assert name not in os.environ


class _Server(http.server.BaseHTTPRequestHandler):
    """Sends the content of the server, which may be less than it announces, and waits."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.content)
        self.server.released.wait(10 if self.server.hangs else 0)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[bytes, bool], str]]:
    """A function that serves bytes and gives their URL; and leaves the line open, if told so."""
    servers = []

    def start(content: bytes, hangs: bool) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
        server.content, server.hangs, server.released = content, hangs, threading.Event()
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/video"

    yield start
    for server in servers:
        server.released.set()
        server.shutdown()
        server.server_close()


def test_stream_is_read_to_its_end(
    backend: str, tmp_path: Path, serve: Callable[[bytes, bool], str]
):
    path = write_video(tmp_path / "video.ts", grays(20))
    reader = VideoReader(serve(path.read_bytes(), False), timeout=5)
    assert reader.live
    frames = list(reader)
    assert len(frames) == 20
    assert levels(frames) == list(range(20))


def test_stream_that_drops_ends_with_a_warning(
    tmp_path: Path,
    serve: Callable[[bytes, bool], str],
    caplog: pytest.LogCaptureFixture,
):
    path = write_video(tmp_path / "video.ts", noise(20))
    content = path.read_bytes()
    url = serve(content[: len(content) // 2], True)
    with caplog.at_level(logging.WARNING, "fgfa"):
        count = len(list(VideoReader(url.replace("//", "//me:secret@"), timeout=0.5)))
    assert 5 < count < 20
    (record,) = caplog.records
    assert record.message == (
        f"stream {url} is damaged: it breaks off after frame {count - 1} (nothing came for "
        "0.5 seconds)"
    )


def test_stream_that_does_not_answer_is_one_sentence(backend: str):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/video"
        with pytest.raises(InputError, match=f"stream {url} cannot be opened") as error:
            VideoReader(url, timeout=0.3)
    if backend == "av":
        assert "nothing came for 0.3 seconds" in str(error.value)


def test_camera(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    video, opened = cv2.VideoCapture, []
    path = write_video(tmp_path / "video.ts", grays(3))
    monkeypatch.setattr(cv2, "VideoCapture", lambda n, *_: opened.append(n) or video(str(path)))
    reader = VideoReader(2)
    assert opened == [2]
    assert len(list(reader)) == 3
    monkeypatch.setattr(cv2, "VideoCapture", lambda n, *_: video())
    with pytest.raises(InputError, match="camera 2 cannot be opened"):
        VideoReader(2)
