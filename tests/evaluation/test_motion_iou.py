from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from hypothesis import given
from hypothesis import strategies as st

from fgfa.data import register_imagenet_vid
from fgfa.errors import InputError
from fgfa.evaluation.boxes import iou
from fgfa.evaluation.motion_iou import has_track_ids, motion_iou_of_dataset, motion_population
from fgfa.evaluation.motion_iou_file import read_motion_iou, rows_of_frames


def _plain_motion_iou(frames: list[dict]) -> list[list[float]]:
    """The definition, box by box."""
    return [[_of_box(frames, frame, box) for box in frame["annotations"]] for frame in frames]


def _of_box(frames: list[dict], frame: dict, box: dict) -> float:
    overlaps = [
        iou(np.array(box["bbox"]), np.array(other["bbox"]))
        for near in frames
        for other in near["annotations"]
        if near["video_id"] == frame["video_id"]
        and 1 <= abs(near["frame_index"] - frame["frame_index"]) <= 10
        and other["track_id"] == box["track_id"]
    ]
    return np.mean(overlaps) if overlaps else 1.0


# A video of up to 30 frames: (frame, track, x) of each box, repeated tracks in a frame included.
_videos = st.lists(
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 2), st.integers(0, 15)), max_size=25),
    min_size=1,
    max_size=3,
)


@given(_videos)
def test_equals_the_definition(make_frames_of, videos):
    frames = make_frames_of(videos)
    result = motion_iou_of_dataset(frames)
    assert [len(values) for values in result] == [len(frame["annotations"]) for frame in frames]
    expected = np.concatenate(_plain_motion_iou(frames))
    np.testing.assert_allclose(np.concatenate(result), expected, rtol=0, atol=1e-12)


@pytest.fixture(scope="module")
def make_frames_of():
    def make(videos):
        frames = [
            {"file_name": "", "video_id": str(video), "frame_index": index, "annotations": []}
            for video in range(len(videos))
            for index in range(30)
        ]
        for video, boxes in enumerate(videos):
            for index, track, x in boxes:
                box = {"bbox": [x, 0, x + 9, 9], "track_id": track}
                frames[30 * video + index]["annotations"].append(box)
        return frames

    return make


def test_window_reaches_ten_frames(make_frames):
    still, moved = ([0, 0, 9, 9], 0, 5), ([100, 0, 109, 9], 0, 5)
    frames = make_frames([[still]] + [[]] * 9 + [[still], [moved]])
    values = motion_iou_of_dataset(frames)
    assert values[0].tolist() == [1.0]  # the moved box is eleven frames away
    assert values[10].tolist() == [0.5]
    assert values[11].tolist() == [0.0]


def test_box_seen_once_has_not_moved(make_frames):
    frames = make_frames([[([0, 0, 9, 9], 0, 1)]], "a") + make_frames([[([5, 5, 9, 9], 0, 1)]], "b")
    assert [values.tolist() for values in motion_iou_of_dataset(frames)] == [[1.0], [1.0]]


def test_track_ids_are_needed(make_frames):
    frames = make_frames([[([0, 0, 9, 9], 0, 1)], [([0, 0, 9, 9], 0, None)]])
    assert has_track_ids(frames[:1]) and not has_track_ids(frames)
    with pytest.raises(InputError, match=r"video/000001\.JPEG has no track id"):
        motion_iou_of_dataset(frames)


def test_population_counts_empty_frames_as_zero():
    population = motion_population([np.array([0.5, 1]), np.zeros(0), np.zeros(0)])
    assert sorted(population) == [0, 0, 0.5, 1]


def test_equals_the_official_file(shared_dir: Path):
    """Clips of one object; the official windows reach beyond the clip at its first and last 10."""
    root = shared_dir / "vid_mini" / "ILSVRC2015"
    register_imagenet_vid("motion_iou_test", root, "VID_val_clips")
    try:
        frames = DatasetCatalog.get("motion_iou_test")
    finally:
        DatasetCatalog.remove("motion_iou_test")
    path = shared_dir / "official" / "imagenet_vid_groundtruth_motion_iou.mat"
    official = rows_of_frames(frames, read_motion_iou(path), path)
    tracks = {}
    for frame in frames:
        tracks.setdefault(frame["video_id"], set()).update(
            box["track_id"] for box in frame["annotations"]
        )
    inner = [
        index
        for index, frame in enumerate(frames)
        if len(tracks[frame["video_id"]]) == 1
        and 10 <= frame["frame_index"] < frame["video_length"] - 10
    ]
    assert len(inner) == 10 * 80
    computed = motion_iou_of_dataset(frames)
    np.testing.assert_allclose(
        np.concatenate([computed[index] for index in inner]),
        np.concatenate([official[index] for index in inner]),
        rtol=0,
        atol=1e-6,
    )
