"""Own annotations on their way to the frames that the project trains on."""

import json
import runpy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgfa.data.annotations.conversion import coco_vid_of
from fgfa.data.annotations.video_boxes import FrameBox, VideoBoxes, VideoImages
from fgfa.data.coco_vid import load_coco_vid
from fgfa.errors import InputError

SCRIPT = Path(__file__).parents[3] / "scripts" / "convert_annotations.py"
main = runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture
def sequence(write_frames, tmp_path: Path):
    """Writes frames and a MOT sequence of two classes; gives the arguments to convert it."""

    def write(name: str, text: str) -> list[str]:
        write_frames(f"{name}/img1")
        folder = tmp_path / "frames" / name / "gt"
        folder.mkdir()
        (folder / "gt.txt").write_text(text)
        (folder / "labels.txt").write_text("dog\ncat\n")
        return str(folder.parent)

    return write


def convert(tmp_path: Path, *arguments: str) -> tuple[list[dict], list[str]]:
    root, output = tmp_path / "frames", tmp_path / "out" / "mine.json"
    main(["mot", *arguments, "--images", str(root), "--output", str(output)])
    return load_coco_vid(output, root)


def test_videos_as_the_project_reads_them(sequence, tmp_path: Path, capsys):
    folders = [sequence("b", "2,5,11,21,10,8,1,1\n2,6,1,1,4,4,1,2\n"), sequence("a", "")]
    frames, names = convert(tmp_path, *folders)
    assert names == ["cat", "dog"]
    assert [frame["frame_index"] for frame in frames] == [0, 1, 2] * 2
    assert [frame["image_id"] for frame in frames] == [1, 2, 3, 4, 5, 6]
    assert all(Path(frame["file_name"]).is_file() for frame in frames)
    assert frames[3]["file_name"].endswith("frames/a/img1/0.png")
    assert [len(frame["annotations"]) for frame in frames] == [0, 2, 0, 0, 0, 0]
    dog, cat = frames[1]["annotations"]
    assert (dog["bbox"], dog["category_id"], dog["track_id"]) == ([10, 20, 20, 28], 1, 5)
    assert (cat["bbox"], cat["category_id"], cat["track_id"]) == ([0, 0, 4, 4], 0, 6)
    assert "2 videos; file names are relative to" in capsys.readouterr().out


def test_classes_in_the_order_asked_for(sequence, tmp_path: Path, caplog):
    folder = sequence("b", "2,5,11,21,10,8,1,1\n2,6,1,1,4,4,1,2\n")
    frames, names = convert(tmp_path, folder, "--classes", "zebra", "dog")
    assert names == ["zebra", "dog"]
    (box,) = frames[1]["annotations"]
    assert box["category_id"] == 1
    assert "boxes of other classes (1 of cat)" in caplog.text


def test_one_name_for_two_videos(sequence, tmp_path: Path):
    folder = sequence("b", "")
    with pytest.raises(InputError, match=r"both annotate video 'b'"):
        convert(tmp_path, folder, f"{folder}/gt/gt.txt")
    assert not (tmp_path / "out").exists()


coordinates = st.integers(-20, 400).map(lambda value: value / 4)
boxes = st.builds(
    lambda frame, name, x, y, width, height, track: FrameBox(
        frame, name, (x, y, x + abs(width), y + abs(height)), track, None
    ),
    st.integers(0, 3),
    st.sampled_from(["cat", "dog"]),
    *[coordinates] * 4,
    st.none() | st.integers(0, 9),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(boxes, max_size=6), min_size=1, max_size=3))
def test_every_box_is_read_again(tmp_path_factory, videos: list[list[FrameBox]]):
    root = Path("frames")
    content, counts = coco_vid_of(
        [
            (
                VideoImages(
                    f"{number}", root, [root / f"{number}/{i}.png" for i in range(4)], [(9, 9)] * 4
                ),
                VideoBoxes(range(4), items),
            )
            for number, items in enumerate(videos)
        ],
        root,
        ["dog", "cat"],
    )
    path = tmp_path_factory.getbasetemp() / "drawn.json"
    path.write_text(json.dumps(content))
    frames, names = load_coco_vid(path, root)
    read = [
        (
            frame["file_name"],
            frame["frame_index"],
            names[box["category_id"]],
            tuple(box["bbox"]),
            box.get("track_id"),
        )
        for frame in frames
        for box in frame["annotations"]
    ]
    written = [
        (f"frames/{number}/{box.frame}.png", box.frame, box.class_name, box.corners, box.track_id)
        for number, items in enumerate(videos)
        for box in sorted(items, key=lambda box: box.frame)
    ]
    assert read == written
    assert sum(counts.values()) == len(written)
