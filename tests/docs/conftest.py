"""Videos and annotations as a new user may have them, made of the moving-shapes data set."""

from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import cv2
import pytest

from fgfa.data.imagenet_vid import load_imagenet_vid
from fgfa.data.moving_shapes import MOVING_SHAPES_CLASSES, write_moving_shapes
from fgfa.data.video_writing import VideoWriter


def write_own_videos(
    folder: Path, *, videos: dict[str, int], frames: int, size: tuple[int, int]
) -> None:
    """Writes the same data in all forms that docs/own_data.md names.

    Below `folder`, for each split ("train", "val"):

    * `datasets/moving_shapes`: what scripts/make_moving_shapes.py writes;
    * `clips/VIDEO.mp4` and `labels/SPLIT/VIDEO.xml`: videos and "CVAT for video 1.1";
    * `sequences/SPLIT/VIDEO/{img1,gt,seqinfo.ini}`: MOT.

    Args:
        folder: where to.
        videos: how many videos each split has.
        frames: length of each video.
        size: height and width, pixels.
    """
    root = write_moving_shapes(
        folder / "datasets",
        train_videos=videos["train"],
        val_videos=videos["val"],
        frames=frames,
        size=size,
    )
    categories = {name: number for number, name in enumerate(MOVING_SHAPES_CLASSES)}
    for split, number in videos.items():
        names = [f"{split}/moving_shapes_{split}_{i:04d}" for i in range(number)]
        lines = [f"{name} {1 + i * frames} 0 {frames}\n" for i, name in enumerate(names)]
        listed = folder / f"{split}.txt"
        listed.write_text("".join(lines))
        dicts = load_imagenet_vid(root / "ILSVRC2015", listed, categories, "VID", False)
        listed.unlink()
        for video_id, group in groupby(dicts, key=lambda frame: frame["video_id"]):
            name = Path(video_id).name
            video = list(group)
            _write_clip(folder / "clips" / f"{name}.mp4", video)
            _write_cvat(folder / "labels" / split / f"{name}.xml", video)
            _write_mot(folder / "sequences" / split / name, video)


def _write_clip(path: Path, video: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 25) as writer:
        for frame in video:
            writer.write(cv2.imread(frame["file_name"]))


def _tracks(video: list[dict]) -> dict[int, list[tuple[int, dict]]]:
    """Number of the frame and box, by track."""
    tracks = {}
    for frame in video:
        for box in frame["annotations"]:
            tracks.setdefault(box["track_id"], []).append((frame["frame_index"], box))
    return tracks


def _write_cvat(path: Path, video: list[dict]) -> None:
    root = ElementTree.Element("annotations")
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    ElementTree.SubElement(task, "size").text = str(len(video))
    original = ElementTree.SubElement(task, "original_size")
    for side in ("width", "height"):
        ElementTree.SubElement(original, side).text = str(video[0][side])
    for track_id, boxes in _tracks(video).items():
        label = MOVING_SHAPES_CLASSES[boxes[0][1]["category_id"]]
        track = ElementTree.SubElement(root, "track", id=str(track_id), label=label)
        seen = {number for number, _ in boxes}
        for number, box in boxes:
            _add_box(track, number, box, outside=False)
            # As in CVAT, what goes out of sight ends with a box that is outside.
            if number + 1 not in seen and number + 1 < len(video):
                _add_box(track, number + 1, box, outside=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path)


def _add_box(track: ElementTree.Element, number: int, box: dict, *, outside: bool) -> None:
    corners = zip(("xtl", "ytl", "xbr", "ybr"), map(str, box["bbox"]), strict=True)
    flags = {"outside": outside, "occluded": box["occluded"], "keyframe": True}
    attributes = {key: str(int(value)) for key, value in flags.items()}
    ElementTree.SubElement(track, "box", frame=str(number), **attributes, **dict(corners))


def _write_mot(folder: Path, video: list[dict]) -> None:
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    rows = []
    for frame in video:
        number = frame["frame_index"] + 1
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), cv2.imread(frame["file_name"]))
        for box in frame["annotations"]:
            x1, y1, x2, y2 = box["bbox"]
            place = f"{x1 + 1},{y1 + 1},{x2 - x1},{y2 - y1}"
            rows.append(f"{number},{box['track_id']},{place},1,{box['category_id'] + 1},1\n")
    (folder / "gt" / "gt.txt").write_text("".join(rows))
    (folder / "gt" / "labels.txt").write_text("\n".join(MOVING_SHAPES_CLASSES))
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nimDir=img1\nseqLength={len(video)}\n"
        f"imWidth={video[0]['width']}\nimHeight={video[0]['height']}\nimExt=.jpg\n"
    )


@pytest.fixture
def own_videos(tmp_path: Path) -> Path:
    """A folder with two training videos and one validation video, see `write_own_videos`."""
    write_own_videos(tmp_path, videos={"train": 2, "val": 1}, frames=4, size=(64, 96))
    return tmp_path
