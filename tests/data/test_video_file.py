"""Videos and images, frame by frame."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgfa.data.video_file import VideoReader, VideoWriter, find_images, read_images
from fgfa.errors import InputError


def write_video(path: Path, levels: list[int], height: int = 48, width: int = 64) -> None:
    with VideoWriter(path, fps=10) as writer:
        for level in levels:
            writer.write(np.full((height, width, 3), level, np.uint8))


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
    write_video(tmp_path / "video.mp4", levels)
    reader = VideoReader(str(tmp_path / "video.mp4"))
    assert (reader.fps, reader.length) == (10, 4)
    frames = list(reader)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 4
    np.testing.assert_allclose([frame.mean() for frame in frames], levels, atol=4)
    expected = {"av": ("avc1", "h264"), "opencv": ("mp4v", "FMP4")}[backend]
    assert codec_of(tmp_path / "video.mp4") in expected


def test_odd_sizes_are_widened_by_a_pixel(backend: str, tmp_path: Path):
    write_video(tmp_path / "video.mp4", [50, 60], height=47, width=63)
    assert [f.shape for f in VideoReader(str(tmp_path / "video.mp4"))] == [(48, 64, 3)] * 2


def test_interrupted_video_can_be_played(backend: str, tmp_path: Path):
    path = tmp_path / "video.mp4"
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, fps=10) as writer:
        for _ in range(5):
            writer.write(np.zeros((48, 64, 3), np.uint8))
        raise KeyboardInterrupt
    assert len(list(VideoReader(str(path)))) == 5


def test_frame_of_another_size_is_one_sentence(tmp_path: Path):
    with VideoWriter(tmp_path / "video.mp4", fps=10) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        with pytest.raises(InputError, match="64x50 pixels follows frames of 64x48"):
            writer.write(np.zeros((50, 64, 3), np.uint8))


def test_missing_or_unreadable_video_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.mp4 does not exist"):
        VideoReader(str(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(InputError, match=r"text\.mp4 cannot be opened"):
        VideoReader(str(tmp_path / "text.mp4"))


def test_images_are_found_in_natural_order(tmp_path: Path):
    for name in ["frame10.jpg", "frame2.jpg", "frame1.jpg", "note.txt"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    found = find_images([str(tmp_path / "*.jpg"), str(tmp_path / "frame2.jpg")])
    assert [Path(path).name for path in found] == ["frame1.jpg", "frame2.jpg", "frame10.jpg"]


def test_file_whose_name_looks_like_a_glob_is_found(tmp_path: Path):
    path = tmp_path / "frame[1].jpg"
    path.touch()
    assert find_images([str(path)]) == [str(path)]


def test_glob_without_files_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match=r"no image file matches .*\*\.jpg"):
        find_images([str(tmp_path / "*.jpg")])


def test_images_are_read_as_bgr_and_only_when_needed(tmp_path: Path):
    red = np.zeros((4, 6, 3), np.uint8)
    red[:, :, 2] = 255
    cv2.imwrite(str(tmp_path / "red.png"), red)
    frames = read_images([str(tmp_path / "red.png"), str(tmp_path / "missing.png")])
    np.testing.assert_array_equal(next(frames), red)
    with pytest.raises(InputError, match=r"missing\.png cannot be read"):
        next(frames)


def test_broken_image_is_one_sentence(tmp_path: Path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    with pytest.raises(InputError, match=r"broken\.jpg cannot be read"):
        list(read_images([str(tmp_path / "broken.jpg")]))
