from pathlib import Path

import cv2
import numpy as np
import pytest

from fgfa.data.annotations.video_images import find_video_images
from fgfa.data.video_writing import VideoWriter
from fgfa.errors import InputError


def write_video(path: Path, grays: list[int]) -> None:
    with VideoWriter(path, 25) as writer:
        for gray in grays:
            writer.write(np.full((48, 64, 3), gray, np.uint8))


def test_images_in_natural_order_with_their_sizes(write_frames, tmp_path: Path):
    images = write_frames("clip/img1", count=3, first=9)
    assert [path.name for path in images.paths] == ["9.png", "10.png", "11.png"]
    assert images.folder == tmp_path / "frames" / "clip" / "img1"
    assert images.sizes == [(40, 60)] * 3


def test_folder_that_is_a_link(write_frames, tmp_path: Path):
    elsewhere = write_frames("clip/img1").folder.rename(tmp_path / "elsewhere")
    (tmp_path / "frames" / "clip" / "img1").symlink_to(elsewhere)
    images = find_video_images("clip", tmp_path / "frames")
    assert [path.name for path in images.paths] == ["0.png", "1.png", "2.png"]


def test_frames_are_made_of_a_video_file_once(tmp_path: Path):
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "street.1.mp4", [40, 80, 120])
    images = find_video_images("street.1", tmp_path / "frames", tmp_path / "videos")
    assert [path.name for path in images.paths] == ["000000.jpg", "000001.jpg", "000002.jpg"]
    assert images.sizes == [(48, 64)] * 3
    means = [cv2.imread(str(path)).mean() for path in images.paths]
    np.testing.assert_allclose(means, [40, 80, 120], atol=4)

    (tmp_path / "videos" / "street.1.mp4").unlink()
    assert find_video_images("street.1", tmp_path / "frames").paths == images.paths


def test_a_video_that_cannot_be_read_leaves_no_frames(tmp_path: Path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"a\.mp4 cannot be opened as a video"):
        find_video_images("a", tmp_path / "frames", tmp_path / "videos")
    assert not (tmp_path / "frames").exists()


def test_nothing_to_find(tmp_path: Path):
    with pytest.raises(InputError, match=r"frames/a: there is no folder with the frames of video"):
        find_video_images("a", tmp_path / "frames")
    with pytest.raises(InputError, match=r"videos: there is no such folder"):
        find_video_images("a", tmp_path / "frames", tmp_path / "videos")
    (tmp_path / "videos").mkdir()
    for suffix in ("mp4", "avi"):
        (tmp_path / "videos" / f"a.{suffix}").touch()
    with pytest.raises(InputError, match=r"videos: 2 files are named 'a'"):
        find_video_images("a", tmp_path / "frames", tmp_path / "videos")


def test_images_in_several_folders(write_frames):
    write_frames("clip/left")
    with pytest.raises(InputError, match=r"clip: .* in 2 \(.*left, .*right\)"):
        write_frames("clip/right")


def test_broken_image(write_frames, tmp_path: Path):
    write_frames()
    (tmp_path / "frames" / "clip" / "1.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"1\.png: the image cannot be read"):
        find_video_images("clip", tmp_path / "frames")
