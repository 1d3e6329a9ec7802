"""Which videos a command line names, and what their results are called."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fgfa.errors import InputError
from fgfa.video_batch.videos import find_videos, longest_first


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty files: videos and images in folders, with hidden ones and others among them."""
    paths = ["a/x.mp4", "a/x.AVI", "a/poster.jpg", "a/notes.txt", "a/.hidden.mp4", "b/x.mp4"]
    paths += ["b/c/x.mkv", "b/.d/x.mp4", "frames/2/0.jpg", "frames/2/1.JPEG", "frames/10/0.png"]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"four")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(inputs: Sequence[str]) -> list[str]:
    return [video.name for video in find_videos(inputs)]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["a/x.mp4"], ["x.mp4"]),
        (["a/notes.txt"], ["notes.txt"]),  # a file that is named is taken for what it is said to be
        (["a"], ["x.AVI", "x.mp4"]),
        (["a/x.mp4", "b/x.mp4"], ["a/x.mp4", "b/x.mp4"]),
        (["a/x.mp4", "./a/../a/x.mp4", "a"], ["x.mp4", "x.AVI"]),
        (["b"], ["x.mp4", "c/x.mkv"]),
        (["b/c", "b"], ["c/x.mkv", "x.mp4"]),
        (["frames"], ["10", "2"]),
        (["frames/2"], ["2"]),
        (["frames/2/"], ["2"]),
        (["a/*.mp4"], ["x.mp4"]),
        (["*/x.*"], ["a/x.AVI", "a/x.mp4", "b/x.mp4"]),
        (["frames/*"], ["10", "2"]),
        (["b/**"], ["x.mp4", "c/x.mkv"]),
    ],
)
def test_names_of_results(inputs: list[str], expected: list[str], tree: Path):
    assert names(inputs) == expected


def test_names_stay_when_a_folder_grows(tree: Path):
    (tree / "b/x.mp4").unlink()
    assert names(["b"]) == ["c/x.mkv"]


def test_a_list_has_an_input_a_line(tree: Path):
    (tree / "list.txt").write_text("a/x.mp4\n\n  frames \n@other.txt\n")
    (tree / "other.txt").write_text("b/c/*\n")
    assert names(["@list.txt"]) == ["a/x.mp4", "frames/10", "frames/2", "b/c/x.mkv"]


def test_lists_that_name_each_other_are_one_sentence(tree: Path):
    (tree / "list.txt").write_text("@other.txt\n")
    (tree / "other.txt").write_text("a/x.mp4\n@list.txt\n")
    with pytest.raises(InputError, match=r"list\.txt names itself; take @list\.txt out of other"):
        find_videos(["@list.txt"])


def test_size_is_in_bytes_or_images(tree: Path):
    sizes = {video.name: video.size for video in find_videos(["a/x.mp4", "frames"])}
    assert sizes == {"a/x.mp4": 4, "frames/10": 1, "frames/2": 2}


def test_a_path_with_wildcards_in_its_name_is_a_path(tree: Path):
    (tree / "a[1].mp4").write_bytes(b"")
    assert names(["a[1].mp4"]) == ["a[1].mp4"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("missing.mp4", r"input missing\.mp4 does not exist"),
        ("none/*.mp4", r"no video is found in none/\*\.mp4"),
        ("frames/2/*", r"no video is found in frames/2/\*"),
        ("b/.d", "no video is found in b/.d2"),
        ("frames/2/0.jpg", r"frames/2/0\.jpg is an image; give the folder"),
        ("@missing.txt", r"list missing\.txt cannot be read"),
        ("@a/bytes.txt", r"list a/bytes\.txt cannot be read"),
    ],
)
def test_an_input_without_videos_is_one_sentence(entry: str, message: str, tree: Path):
    (tree / "a/bytes.txt").write_bytes(b"\xff\xfe")
    (tree / "b/.d2").mkdir()
    with pytest.raises(InputError, match=message):
        find_videos(["a", entry.replace("b/.d", "b/.d2")])


def test_longest_first(
    tmp_path: Path, write_video: Callable[[Path, int], None], write_images: Callable
):
    write_video(tmp_path / "short.mp4", 3)
    write_video(tmp_path / "long.mp4", 9)
    write_images(tmp_path / "images", 5)
    write_images(tmp_path / "also", 5)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    videos = longest_first(
        find_videos(
            [
                str(tmp_path / name)
                for name in ("broken.mp4", "short.mp4", "images", "also", "long.mp4")
            ]
        )
    )
    assert [(video.name, video.length) for video in videos] == [
        ("long.mp4", 9),
        ("also", 5),
        ("images", 5),
        ("short.mp4", 3),
        ("broken.mp4", 0),
    ]
