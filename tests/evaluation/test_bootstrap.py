from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.evaluation.average_precision import ap_from_matches
from fgfa.evaluation.bootstrap import ap_of_samples, draw_videos, percentile_interval
from fgfa.evaluation.matching import Matches, match
from fgfa.evaluation.records import Detections, GroundTruth, ragged_arange

DATA = Path(__file__).parents[1] / "data"
RANGES = [(0, 1), (0.9, 1), (0.7, 0.9), (0, 0.7)]
CLASSES = 3


def _truth(counts: np.ndarray, rng: np.random.Generator) -> GroundTruth:
    num_boxes = int(counts.sum())
    corners = rng.integers(0, 300, (num_boxes, 2))
    boxes = np.concatenate([corners, corners + rng.integers(5, 100, (num_boxes, 2))], axis=1)
    classes = rng.integers(0, CLASSES, num_boxes)
    return GroundTruth(np.arange(1, len(counts) + 1), counts, classes, boxes.astype(float))


def _found(truth: GroundTruth, rng: np.random.Generator) -> Detections:
    """Shifted boxes, some twice, and boxes anywhere; all scores differ."""
    rows = rng.integers(0, len(truth.boxes), 2 * len(truth.boxes))
    near = truth.boxes[rows] + rng.integers(-15, 15, (len(rows), 1))
    frames = np.append(truth.frames[rows], rng.integers(0, len(truth.counts), 20))
    boxes = np.concatenate([near, np.tile([0.0, 0.0, 90.0, 90.0], (20, 1))])
    classes = np.append(truth.classes[rows], rng.integers(0, CLASSES, 20))
    scores = rng.permutation(len(boxes)) / len(boxes)
    return Detections(truth.image_ids[frames], classes, scores, boxes)


def _repeated(truth: GroundTruth, found: Detections, frames: np.ndarray):
    """Ground truth and detections of some frames, each any number of times, and rows of boxes."""
    starts = np.cumsum(truth.counts) - truth.counts
    boxes = ragged_arange(starts[frames], truth.counts[frames])
    drawn = GroundTruth(
        np.arange(1, len(frames) + 1),
        truth.counts[frames],
        truth.classes[boxes],
        truth.boxes[boxes],
    )
    parts = []
    for image_id, frame in enumerate(frames, start=1):
        part = found[found.image_ids == truth.image_ids[frame]]
        ids = np.full(len(part), image_id)
        parts.append(Detections(ids, part.classes, part.scores, part.boxes))
    return drawn, Detections.concatenate(parts), boxes


@given(st.integers(0, 2**32), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_equals_ap_of_the_videos_put_together(seed, times):
    rng = np.random.default_rng(seed)
    counts = np.append(1, rng.integers(0, 4, 11))
    videos = np.repeat(np.arange(4), 3)
    truth = _truth(counts, rng)
    found = _found(truth, rng)
    motion, population = rng.random(len(truth.boxes)), np.linspace(0, 1, 7)
    options = {"population": population, "motion_ranges": RANGES}
    matches = match(truth, found, motion_iou=motion, **options)
    ap = ap_of_samples(matches, CLASSES, videos, np.array([times]))[0]

    frames = np.concatenate(
        [np.flatnonzero(videos == v) for v in np.repeat(range(4), times)] + [[]]
    )
    drawn, repeated, boxes = _repeated(truth, found, frames.astype(int))
    if not len(frames):
        assert np.isnan(ap).all()
        return
    matches = match(drawn, repeated, motion_iou=motion[boxes], **options)
    np.testing.assert_allclose(ap, ap_from_matches(matches, CLASSES)[:, 0], rtol=0, atol=1e-12)


def _golden_matches() -> Matches:
    golden = np.load(DATA / "eval_small.npz")
    truth, found = golden["gt_frame_class_box"], golden["det_frame_class_score_box"]
    counts, classes = golden["gt_count_per_frame"], truth[:, 1].astype(int) - 1
    detections = Detections(
        found[:, 0].astype(int), found[:, 1].astype(int) - 1, found[:, 2], found[:, 3:]
    )
    return match(
        GroundTruth(golden["frame_ids"], counts, classes, truth[:, 2:]),
        detections,
        motion_iou=golden["motion_iou_flat"],
        motion_ranges=RANGES,
    )


def test_each_video_once_is_the_data_set_itself():
    matches = _golden_matches()
    videos = np.arange(200) // 10
    # More samples than are scored at once.
    ap = ap_of_samples(matches, 30, videos, np.ones((130, 20), int))
    expected = np.broadcast_to(ap_from_matches(matches, 30)[:, 0], ap.shape)
    np.testing.assert_allclose(ap, expected, rtol=0, atol=1e-12)


def test_without_detections_or_samples():
    truth = GroundTruth(np.array([1]), np.array([1]), np.array([0]), np.array([[0.0, 0, 9, 9]]))
    matches = match(truth, Detections.empty())
    np.testing.assert_array_equal(
        ap_of_samples(matches, 2, np.array([0]), np.array([[1], [0]]))[:, 0],
        [[0, np.nan], [np.nan, np.nan]],
    )
    assert ap_of_samples(matches, 2, np.array([0]), np.zeros((0, 1), int)).shape == (0, 1, 2)


def test_draws_are_as_many_videos_as_there_are_and_follow_the_seed():
    draws = draw_videos(7, 500)
    assert draws.shape == (500, 7)
    assert (draws.sum(axis=1) == 7).all()
    # A video is drawn once in the mean; the standard deviation of the mean is 0.04.
    assert draws.mean(axis=0) == pytest.approx(np.ones(7), abs=0.2)
    np.testing.assert_array_equal(draws, draw_videos(7, 500))
    assert (draws != draw_videos(7, 500, seed=1)).any()


def test_percentiles_without_nan():
    samples = np.arange(101.0)
    with_gaps = np.append(samples, [np.nan] * 50)
    np.testing.assert_allclose(percentile_interval(samples), [2.5, 97.5])
    np.testing.assert_allclose(percentile_interval(with_gaps), [2.5, 97.5])
    np.testing.assert_allclose(percentile_interval(samples, level=0.5), [25, 75])


@pytest.mark.parametrize("samples", [np.full((5, 2), np.nan), np.zeros((0, 2))])
def test_percentiles_of_nothing(samples):
    np.testing.assert_array_equal(percentile_interval(samples), np.full((2, 2), np.nan))
