import numpy as np

from fgfa.dataset_check.box_table import BoxTable
from fgfa.dataset_check.summary import ClassCount, summarize

BOX, HALF = (0, 0, 9, 9), (0, 0, 9, 4)


def test_counts_and_speeds(video):
    frames = video([(BOX, 1, 1)], [(HALF, 1, 1), (BOX, 2, 0)], [])
    frames += video([(BOX, 1, 1)], name="b", first_id=9)
    summary = summarize(BoxTable.of_dicts(frames), ["cat", "dog"])
    assert (summary.videos, summary.frames, summary.frames_without_boxes) == (2, 4, 1)
    assert (summary.boxes, summary.tracks) == (4, 3)
    assert summary.classes == {"cat": ClassCount(1, 1, 1), "dog": ClassCount(3, 2, 2)}
    np.testing.assert_allclose(summary.motion_iou, [0.5, 0.5, 1, 1])
    assert summary.speeds() == {"slow": 2, "medium": 0, "fast": 2}


def test_motion_takes_whole_videos_and_tracks(video):
    whole = video([(BOX, 1, 0)], [(HALF, 1, 0)])
    without_track = video([(BOX, 1, 0)], [(HALF, None, 0)])
    for frames in (whole[:1], without_track, video([(BOX, 1, 0)])):
        summary = summarize(BoxTable.of_dicts(frames), ["cat"])
        assert summary.motion_iou is None
        assert summary.speeds() == {}


def test_no_boxes(video):
    summary = summarize(BoxTable.of_dicts(video([], [])), ["cat"])
    assert (summary.boxes, summary.tracks) == (0, 0)
    assert summary.classes == {"cat": ClassCount(0, 0, 0)}
