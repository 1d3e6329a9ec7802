from collections import Counter

import cv2
import numpy as np
import pytest

from fgfa.data.imagenet_vid import load_imagenet_vid
from fgfa.data.moving_shapes import MOVING_SHAPES_CLASSES, write_moving_shapes
from fgfa.errors import InputError
from fgfa.evaluation.motion_iou import motion_iou_of_dataset

CATEGORIES = {name: i for i, name in enumerate(MOVING_SHAPES_CLASSES)}
SMALL = {"train_videos": 2, "val_videos": 1, "frames": 5, "size": (48, 64)}


def load(folder, image_set, key_frames):
    return load_imagenet_vid(folder / "ILSVRC2015", image_set, CATEGORIES, "VID", key_frames)


def content(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_moving_shapes(tmp_path_factory.mktemp("root"), **SMALL)


def test_lists(small):
    lists = small / "ILSVRC2015" / "ImageSets"
    assert (lists / "VID_train_keyframes.txt").read_text().splitlines() == [
        f"train/moving_shapes_train_000{video} 1 {frame} 5"
        for video in (0, 1)
        for frame in (0, 2, 4)
    ]
    assert (lists / "VID_val_videos.txt").read_text() == "val/moving_shapes_val_0000 1 0 5\n"


def test_frames_are_read_as_imagenet_vid(small):
    train = load(small, "VID_train_keyframes", True)
    val = load(small, "VID_val_videos", False)
    assert [frame["frame_index"] for frame in train] == [0, 2, 4, 0, 2, 4]
    assert [frame["image_id"] for frame in val] == [1, 2, 3, 4, 5]
    for frame in train + val:
        assert all(cv2.imread(path).shape == (48, 64, 3) for path in frame["video_frames"])
        assert (frame["height"], frame["width"]) == (48, 64)
        assert frame["annotations"]
        for annotation in frame["annotations"]:
            x1, y1, x2, y2 = annotation["bbox"]
            assert 0 <= x1 < x2 < 64
            assert 0 <= y1 < y2 < 48
            assert annotation["occluded"] in (0, 1)
        tracks = [annotation["track_id"] for annotation in frame["annotations"]]
        assert len(set(tracks)) == len(tracks)


def test_official_fields(small):
    path = small / "ILSVRC2015/Annotations/VID/val/moving_shapes_val_0000/000000.xml"
    text = path.read_text()
    assert "<folder>moving_shapes_val_0000</folder><filename>000000</filename>" in text
    assert "<size><width>64</width><height>48</height></size>" in text
    assert "<generated>0</generated></object>" in text


def test_same_seed_gives_the_same_files(small, tmp_path):
    again = write_moving_shapes(tmp_path / "again", **SMALL)
    other = write_moving_shapes(tmp_path / "other", **SMALL, seed=1)
    assert content(again) == content(small)
    assert content(other) != content(small)


def test_complete_data_is_kept(small, caplog):
    image = next(small.rglob("*.JPEG"))
    written = image.stat().st_mtime_ns
    with caplog.at_level("INFO"):
        write_moving_shapes(small.parent, **SMALL)
    assert image.stat().st_mtime_ns == written
    assert "used as it is" in caplog.text


def test_other_data_is_not_overwritten(small):
    before = content(small)
    with pytest.raises(InputError, match="remove it"):
        write_moving_shapes(small.parent, **{**SMALL, "frames": 6})
    assert content(small) == before


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"size": (31, 64)}, {"val_videos": -1}])
def test_nothing_to_draw(wrong, tmp_path):
    with pytest.raises(InputError, match="cannot be drawn"):
        write_moving_shapes(tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    calls, imwrite = [], cv2.imwrite
    monkeypatch.setattr(
        cv2, "imwrite", lambda *a: calls.append(a) or (len(calls) < 7 and imwrite(*a))
    )
    with pytest.raises(InputError, match=r"000001\.JPEG cannot be written as an image"):
        write_moving_shapes(tmp_path, **SMALL)
    assert len(calls) == 7
    assert list(tmp_path.iterdir()) == []


def test_all_speeds_and_classes_are_well_represented(tmp_path):
    folder = write_moving_shapes(
        tmp_path, train_videos=0, val_videos=12, frames=21, size=(96, 128), seed=3
    )
    frames = load(folder, "VID_val_videos", False)
    motion = np.concatenate([np.ravel(values) for values in motion_iou_of_dataset(frames)])
    shares = [(motion > 0.9).mean(), ((motion >= 0.7) & (motion <= 0.9)).mean()]
    shares.append((motion < 0.7).mean())
    assert min(shares) > 0.15
    names = Counter(a["category_id"] for frame in frames for a in frame["annotations"])
    assert len(names) == len(MOVING_SHAPES_CLASSES)
    assert min(names.values()) > 0.05 * names.total()
