"""Chosen frames of images and videos, with their numbers, times and names."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fgfa.data.frame_source import ImageSource, VideoSource, choose_frames
from fgfa.data.video_reading import VideoReader
from fgfa.data.video_writing import VideoWriter
from fgfa.errors import InputError


@pytest.fixture
def images(tmp_path: Path) -> str:
    for index in range(10):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((4, 6, 3), index, np.uint8))
    return str(tmp_path / "*.png")


@pytest.fixture
def video(tmp_path: Path) -> str:
    path = tmp_path / "video.mp4"
    with VideoWriter(path, fps=10) as writer:
        for _ in range(10):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    return str(path)


def test_images_keep_number_and_name(images: str):
    source = ImageSource([images], choose_frames(2, 9, 3))
    assert (source.length, source.live) == (3, False)
    frames = list(source)
    assert [frame.number for frame in frames] == [2, 5, 8]
    assert [frame.name for frame in frames] == ["2.png", "5.png", "8.png"]
    assert [frame.image[0, 0, 0] for frame in frames] == [2, 5, 8]
    assert {frame.seconds for frame in frames} == {None}


def test_video_keeps_number_and_time(video: str):
    source = VideoSource(video, choose_frames(2, stride=3))
    assert (source.length, source.live) == (3, False)
    assert source.fps == pytest.approx(10 / 3)
    frames = list(source)
    assert [frame.number for frame in frames] == [2, 5, 8]
    assert [frame.seconds for frame in frames] == pytest.approx([0.2, 0.5, 0.8], abs=1e-3)
    assert {frame.name for frame in frames} == {None}


@pytest.mark.parametrize(
    ("arguments", "stated", "length"),
    [
        ((0, None, 1), 10, 10),
        ((0, 100, 4), 10, 3),
        ((3, 9, 2), 10, 3),
        ((20, None, 1), 10, 0),
        # A live stream tells nothing.
        ((0, None, 1), None, None),
        ((5, 11, 2), None, 3),
    ],
)
def test_length_is_that_of_the_choice(
    video: str,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[int, int | None, int],
    stated: int | None,
    length: int | None,
):
    init = VideoReader.__init__

    def state(reader: VideoReader, source: str) -> None:
        init(reader, source)
        reader.length = stated

    monkeypatch.setattr(VideoReader, "__init__", state)
    assert VideoSource(video, choose_frames(*arguments)).length == length


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((-1,), "start -1 is below 0"),
        ((0, None, 0), "stride 0 below 1"),
        ((5, 5), "end 5 is not behind start 5"),
    ],
)
def test_no_choice_is_one_sentence(arguments: tuple[int, ...], sentence: str):
    with pytest.raises(InputError, match=sentence):
        choose_frames(*arguments)


def test_choice_of_nothing_is_one_sentence(images: str, video: str):
    with pytest.raises(InputError, match="there are 10 images; 10 is not among them"):
        ImageSource([images], choose_frames(10))
    with pytest.raises(InputError, match="has 10 frames; frame 10 is not among them"):
        list(VideoSource(video, choose_frames(10)))
