from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.data.image_set import read_image_set
from fgfa.data.image_set_making import (
    FolderOfFrames,
    find_videos,
    frame_lines,
    key_frame_lines,
    video_lines,
)
from fgfa.errors import InputError


def add_images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_videos_at_any_depth(tmp_path: Path):
    add_images(tmp_path / "train/b/y", "000000.JPEG")
    add_images(tmp_path / "train/b/x", "000001.JPEG", "000000.JPEG", "notes.txt")
    add_images(tmp_path / "train/a", "000007.JPEG", "000008.JPEG", "000009.JPEG")
    add_images(tmp_path / "val/a", "000000.JPEG")
    assert find_videos(tmp_path, "train") == [
        FolderOfFrames("train/a", 7, 3),
        FolderOfFrames("train/b/x", 0, 2),
        FolderOfFrames("train/b/y", 0, 1),
    ]


@pytest.mark.parametrize(
    ("folder", "names", "sentence"),
    [
        ("a", ["0.JPEG"], r"train/a: lists name images like 000000\.JPEG.*; rename 0\.JPEG"),
        ("a b", ["000000.JPEG"], r"train/a b: lists .* folders without blanks; rename the folder"),
        ("a", ["000003.JPEG", "000005.JPEG"], r"train/a: image 000004\.JPEG is missing"),
        ("a", ["000000.jpg"], r"train: no folder here holds images \*\.JPEG"),
    ],
)
def test_folders_that_cannot_be_listed(folder: str, names: list[str], sentence: str, tmp_path):
    add_images(tmp_path / "train" / folder, *names)
    with pytest.raises(InputError, match=sentence):
        find_videos(tmp_path, "train")


def test_folders_that_are_links_are_listed(tmp_path: Path):
    elsewhere = add_images(tmp_path / "another_disk" / "a", "000000.JPEG")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(elsewhere.parent)
    (elsewhere.parent / "b").symlink_to("a")
    assert [video.path for video in find_videos(tmp_path / "data", "train")] == [
        "train/a",
        "train/b",
    ]


def test_key_frames_count_from_zero():
    with pytest.raises(InputError, match=r"a: a list of key frames needs images .*000000\.JPEG"):
        list(key_frame_lines([FolderOfFrames("a", 1, 3)]))


videos = st.lists(
    st.builds(
        FolderOfFrames,
        st.text("abc/_", min_size=1, max_size=5).filter(
            lambda path: not path.startswith("/") and not path.endswith("/")
        ),
        st.integers(0, 1_000_000),
        st.integers(1, 50),
    ),
    min_size=2,
    max_size=4,
    unique_by=lambda video: video.path,
)


@given(videos)
def test_lists_are_read_again(tmp_path_factory: pytest.TempPathFactory, videos):
    path = tmp_path_factory.getbasetemp() / "list.txt"
    path.write_text("\n".join(video_lines(videos)))
    clips = read_image_set(path)
    assert [(clip.stems[0], len(clip.listed)) for clip in clips] == [
        (f"{video.path}/{video.first:06d}", video.length) for video in videos
    ]
    path.write_text("\n".join(frame_lines(videos)))
    frames = read_image_set(path)
    listed = [
        (clip.first_image_id + index, clip.stems[index]) for clip in clips for index in clip.listed
    ]
    assert [(frame.first_image_id, frame.stems[0]) for frame in frames] == listed


@given(st.integers(1, 400), st.integers(1, 20))
def test_key_frames_are_spread(length: int, count: int):
    lines = [line.split() for line in key_frame_lines([FolderOfFrames("a", 0, length)], count)]
    assert all(line[::2][0] == "a" and line[1] == "1" and line[3] == str(length) for line in lines)
    keys = [int(line[2]) for line in lines]
    assert len(set(keys)) == len(keys) == min(count, length)
    distances = {second - first for first, second in pairwise(keys)}
    assert not distances or max(distances) - min(distances) <= 1
    assert abs(keys[0] - (length - 1 - keys[-1])) <= 1


def test_official_lists_of_the_same_videos(shared_dir: Path):
    """Our key frames are the official ones, up to the rounding of the original's tool."""
    official = defaultdict(list)
    for line in (shared_dir / "official/VID_train_15frames.txt").read_text().splitlines():
        path, _, key_frame, length = line.split()
        official[FolderOfFrames(path, 0, int(length))].append(int(key_frame))
    ours = [int(line.split()[2]) for line in key_frame_lines(list(official))]
    theirs = [key_frame for key_frames in official.values() for key_frame in key_frames]
    assert len(ours) == len(theirs)
    differences = [our - their for our, their in zip(ours, theirs, strict=True)]
    assert set(differences) == {0, 1}
    assert sum(differences) < 0.01 * len(theirs)

    path = shared_dir / "official/VID_val_videos.txt"
    lines = path.read_text().split("\n")[:-1]
    columns = [line.split() for line in lines]
    videos = [FolderOfFrames(path, int(first), int(length)) for path, _, first, length in columns]
    assert list(video_lines(videos)) == lines
