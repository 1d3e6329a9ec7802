"""Track ids guessed from overlaps."""

import copy
import logging
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from hypothesis import given
from hypothesis import strategies as st

from fgfa.data import register_imagenet_vid
from fgfa.evaluation.motion_iou import motion_iou_of_dataset
from fgfa.evaluation.track_linking import link_tracks


def make_video(*frames: list[tuple[int, int]], video_id: str = "a") -> list[dict]:
    """Frames of boxes 40 pixels wide, each of (left side, class)."""
    return [
        {
            "video_id": video_id,
            "frame_index": index,
            "annotations": [
                {"bbox": [left, 0, left + 39, 39], "category_id": cls} for left, cls in boxes
            ],
        }
        for index, boxes in enumerate(frames)
    ]


def track_ids(dicts: list[dict]) -> list[list[int]]:
    return [[box["track_id"] for box in frame["annotations"]] for frame in link_tracks(dicts)]


def test_boxes_that_overlap_by_half_are_one_track():
    # Shifts of 10 and 13 of 40 pixels: IoU 0.6 and 27 / 53.
    assert track_ids(make_video([(0, 0)], [(10, 0)], [(23, 0)])) == [[0], [0], [0]]
    assert track_ids(make_video([(0, 0)], [(14, 0)])) == [[0], [1]]


def test_classes_and_videos_have_tracks_of_their_own():
    assert track_ids(make_video([(0, 0), (0, 1)], [(0, 1), (0, 0)])) == [[0, 1], [1, 0]]
    videos = make_video([(0, 0)]) + make_video([(0, 0)], [(0, 0)], video_id="b")
    assert track_ids(videos) == [[0], [0], [0]]


def test_a_box_continues_one_track_and_pairs_overlap_most_in_all():
    # The first box fits both; the second fits the right one alone.
    assert track_ids(make_video([(0, 0), (12, 0)], [(6, 0), (-6, 0)])) == [[0, 1], [1, 0]]
    assert track_ids(make_video([(0, 0)], [(0, 0), (1, 0)])) == [[0], [0, 1]]


def test_a_gap_ends_a_track():
    assert track_ids(make_video([(0, 0)], [], [(0, 0)])) == [[0], [], [1]]
    skipping = make_video([(0, 0)], [(0, 0)])
    skipping[1]["frame_index"] = 2
    assert track_ids(skipping) == [[0], [1]]


def test_it_warns_and_leaves_its_input_as_it_is(caplog: pytest.LogCaptureFixture):
    video = make_video([(0, 0)], [(0, 0), (80, 0)])
    before = copy.deepcopy(video)
    with caplog.at_level(logging.WARNING, logger="fgfa"):
        link_tracks(video)
    assert video == before
    assert "track ids of 3 boxes are guessed" in caplog.text


@given(st.lists(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 1)), max_size=4)))
def test_no_track_has_two_boxes_of_a_frame(frames: list[list[tuple[int, int]]]):
    for ids in track_ids(make_video(*frames)):
        assert len(set(ids)) == len(ids)


def test_slow_and_medium_objects_have_the_motion_iou_of_their_true_tracks(shared_dir: Path):
    register_imagenet_vid("link_test", shared_dir / "vid_mini" / "ILSVRC2015", "VID_val_clips")
    try:
        dicts = DatasetCatalog.get("link_test")
    finally:
        DatasetCatalog.remove("link_test")
    truth = np.concatenate(motion_iou_of_dataset(dicts))
    guess = np.concatenate(motion_iou_of_dataset(link_tracks(dicts)))
    not_fast = truth >= 0.7
    assert not_fast.sum() > 1000
    np.testing.assert_allclose(guess[not_fast], truth[not_fast], rtol=0, atol=1e-9)
