import numpy as np
import pytest

from fgfa.evaluation.coco_protocol import CocoProtocol
from fgfa.evaluation.motion_table import results_of
from fgfa.evaluation.records import Detections

A, FAR = [0, 0, 100, 100], [300, 300, 350, 350]


def _score(frames, *rows):
    """Results of detections of class 0 from (image id, score, box)."""
    ids, scores, boxes = zip(*rows, strict=True)
    found = Detections(
        np.array(ids), np.zeros(len(ids), int), np.array(scores), np.array(boxes, float)
    )
    return results_of(CocoProtocol(frames, ["cat", "dog"]).score(found))["bbox"]


def test_thresholds_and_classes(make_frames):
    frames = make_frames([[(A, 0, 0)]])
    # IoU 0.8 passes 0.5, 0.55, ... 0.8: seven of ten thresholds.
    results = _score(frames, (1, 0.9, [0, 0, 100, 80]))
    assert results["AP50"] == pytest.approx(100)
    assert results["AP"] == pytest.approx(70)
    assert np.isnan(results["AP50-dog"])


def test_motion_groups_ignore_other_boxes(make_frames):
    leap = [[0, 200, 100, 300], [0, 400, 100, 500]]
    frames = make_frames([[(A, 0, 0), (box, 0, 1)] for box in leap])
    # Precision 1, 2/3 where the slow objects alone are looked for.
    results = _score(frames, (1, 0.9, A), (1, 0.8, leap[0]), (1, 0.7, FAR), (2, 0.6, A))
    assert results["AP50-slow"] == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)
    assert np.isnan(results["AP50-medium"])
    # One of two fast boxes, before any false positive.
    assert results["AP50-fast"] == pytest.approx(100 * 51 / 101)


def test_unknown_frames_are_left_out(make_frames):
    frames = make_frames([[(A, 0, 0)]])
    assert _score(frames, (7, 0.99, FAR), (1, 0.9, A))["AP50"] == pytest.approx(100)
