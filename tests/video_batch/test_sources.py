"""Frames of video files and of folders of images."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fgfa.data import frame_source
from fgfa.errors import InputError
from fgfa.video_batch.sources import open_source, read_frames


def test_images_come_in_natural_order_with_their_names(tmp_path: Path, write_images: Callable):
    write_images(tmp_path / "video", 11)
    (tmp_path / "video" / ".hidden.png").write_bytes(b"")
    (tmp_path / "video" / "notes.txt").write_text("")
    source = open_source(str(tmp_path / "video"))
    assert source.length == 11
    seen = [(frame.image[0, 0, 0], frame.name, frame.seconds) for frame in read_frames(source)]
    assert seen == [(number, f"{number}.png", None) for number in range(11)]


def test_frames_of_a_file_have_their_time(tmp_path: Path, write_video: Callable):
    write_video(tmp_path / "video.mp4", 4)
    source = open_source(str(tmp_path / "video.mp4"))
    assert (source.fps, source.length) == (10, 4)
    seen = [(frame.seconds, frame.name) for frame in read_frames(source)]
    assert seen == [(pytest.approx(number / 10), None) for number in range(4)]


def test_any_fault_in_reading_is_a_sentence(
    tmp_path: Path, write_images: Callable, monkeypatch: pytest.MonkeyPatch
):
    def fail(_path: str):
        raise RuntimeError("no such codec")

    write_images(tmp_path / "video", 1)
    monkeypatch.setattr(frame_source, "read_upright", fail)
    with pytest.raises(InputError, match=r"0\.png cannot be read \(no such codec\)"):
        list(read_frames(open_source(str(tmp_path / "video"))))
