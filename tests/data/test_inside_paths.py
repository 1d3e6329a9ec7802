"""Paths that files of data sets name, and links that lie on the way."""

from pathlib import Path

import pytest

from fgfa.data.frame_reading import read_frame
from fgfa.data.imagenet_vid import load_imagenet_vid
from fgfa.data.inside_paths import is_inside


@pytest.mark.parametrize("path", ["a.jpg", "a/b/000000", "./a.jpg", "a..b/..c", "a/~", "~"])
def test_paths_below_a_folder(path: str):
    assert is_inside(path)


@pytest.mark.parametrize("path", ["../a.jpg", "a/../../b", "a/../b", "/a.jpg", "", ".", "a\0"])
def test_paths_that_lead_elsewhere(path: str):
    assert not is_inside(path)


@pytest.mark.parametrize(
    "linked",
    ["", "Data", "Data/VID", "Annotations/VID/train", "Data/VID/train/v/000001.JPEG"],
    ids=["root", "images", "subset", "split", "file"],
)
def test_links_are_followed(linked: str, tiny_vid, tmp_path: Path):
    tiny_vid.add_clip("train/v", 0, 2, [("dog", 0, (1, 2, 30, 20))])
    list_file = tiny_vid.write_list("train", "train/v 1 0 2")
    path, elsewhere = tiny_vid.root / linked, tmp_path / "another_disk"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    for frame in load_imagenet_vid(tiny_vid.root, list_file, {"dog": 0}):
        assert frame["file_name"].startswith(f"{tiny_vid.root}/Data/VID/train/v/")
        assert len(frame["annotations"]) == 1
        assert read_frame(frame["file_name"], "BGR", (40, 60)).shape == (40, 60, 3)
