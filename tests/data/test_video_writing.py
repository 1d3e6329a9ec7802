"""Videos that are written, as a decoder sees them."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgfa.data.video_reading import VideoReader
from fgfa.data.video_writing import VideoWriter
from fgfa.errors import InputError


def gray(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture(params=["av", "opencv"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "av":
        pytest.importorskip("av")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    return request.param


def codec_of(path: Path) -> str:
    code = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FOURCC))
    return code.to_bytes(4, "little").decode()


def test_frames_come_back_in_order(backend: str, tmp_path: Path):
    levels = [20, 90, 160, 230]
    with VideoWriter(tmp_path / "video.mp4", fps=10) as writer:
        for level in levels:
            writer.write(gray(level))
    reader = VideoReader(str(tmp_path / "video.mp4"))
    assert (reader.fps, reader.length) == (10, 4)
    frames = list(reader)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 4
    np.testing.assert_allclose([frame.mean() for frame in frames], levels, atol=4)
    expected = {"av": ("avc1", "h264"), "opencv": ("mp4v", "FMP4")}[backend]
    assert codec_of(tmp_path / "video.mp4") in expected


def test_odd_sizes_are_widened_by_a_pixel(backend: str, tmp_path: Path):
    with VideoWriter(tmp_path / "video.mp4", fps=10) as writer:
        for _ in range(2):
            writer.write(gray(50, height=47, width=63))
    assert [f.shape for f in VideoReader(str(tmp_path / "video.mp4"))] == [(48, 64, 3)] * 2


@pytest.mark.parametrize("name", ["interrupted.mp4", "rtsp:odd.mp4"])
def test_interrupted_video_can_be_played(backend: str, tmp_path: Path, name: str):
    path = tmp_path / name
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, fps=10) as writer:
        for _ in range(5):
            writer.write(gray(0))
        raise KeyboardInterrupt
    assert len(list(VideoReader(str(path)))) == 5


def test_times_become_presentation_times(tmp_path: Path):
    av = pytest.importorskip("av")
    seconds = [3.0, 3.1, 3.15, 3.5, 4.5, 4.55]
    with VideoWriter(tmp_path / "video.mp4", fps=10) as writer:
        for time in seconds:
            writer.write(gray(80), time)
    with av.open(str(tmp_path / "video.mp4")) as container:
        (stream,) = container.streams.video
        times = [frame.time for frame in container.decode(stream)]
        assert times == pytest.approx([0, 0.1, 0.15, 0.5, 1.5, 1.55], abs=1e-4)
        # The last frame is shown for a tenth of a second.
        assert float(stream.duration * stream.time_base) == pytest.approx(1.65, abs=1e-3)


@pytest.mark.parametrize("fps", [1 / 3600, 30000 / 1001, 240.0])
def test_rate_is_kept(tmp_path: Path, fps: float):
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "video.mp4", fps) as writer:
        for _ in range(3):
            writer.write(gray(80))
    assert VideoReader(str(tmp_path / "video.mp4")).fps == pytest.approx(fps, rel=1e-4)


def test_times_that_do_not_increase_are_moved_on(tmp_path: Path):
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "video.mp4", fps=10) as writer:
        for time in [0.0, 0.5, 0.5, 0.4, 0.8]:
            writer.write(gray(80), time)
    times = [seconds for seconds, _ in VideoReader(str(tmp_path / "video.mp4")).timed()]
    assert times == pytest.approx([0, 0.5, 0.501, 0.502, 0.8], abs=1e-4)


def test_frame_of_another_size_is_one_sentence(tmp_path: Path):
    with VideoWriter(tmp_path / "video.mp4", fps=10) as writer:
        writer.write(gray(0))
        with pytest.raises(InputError, match="64x50 pixels follows frames of 64x48"):
            writer.write(gray(0, height=50))
