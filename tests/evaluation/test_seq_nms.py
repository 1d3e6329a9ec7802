from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarking.plain_seq_nms import plain_seq_nms
from fgfa.evaluation.boxes import iou
from fgfa.evaluation.records import Detections
from fgfa.evaluation.seq_nms import best_of_each_frame, seq_nms, seq_nms_dataset, seq_nms_video

DATA = Path(__file__).parents[1] / "data"
VIDEOS = ["main", "short", "one_frame"]


def _video(golden, name: str, kind: str = "in") -> tuple[np.ndarray, ...]:
    """Boxes, scores, times and classes of a video."""
    rows, counts = golden[f"{name}_{kind}_boxes"], golden[f"{name}_{kind}_counts"]
    classes, times = (indices.ravel() for indices in np.indices(counts.shape))
    repeats = counts.ravel()
    return rows[:, :4], rows[:, 4], np.repeat(times, repeats), np.repeat(classes, repeats)


def _sorted(*columns: np.ndarray) -> np.ndarray:
    """Rows in an order of their own: the original leaves a frame's boxes in that of a hash set."""
    rows = np.column_stack(columns)
    return rows[np.lexsort(rows.T)]


def _check_paths(golden, name: str) -> None:
    boxes, scores, times, classes = _video(golden, name)
    new, keep = seq_nms(boxes, scores, times, classes)
    result = _sorted(boxes[keep], new[keep], times[keep], classes[keep])
    np.testing.assert_allclose(result, _sorted(*_video(golden, name, "out")), rtol=0, atol=1e-9)


def _check_video(golden, name: str) -> None:
    boxes, scores, times, classes = _video(golden, name)
    result = seq_nms_video(Detections(times + 1, classes, scores, boxes), times)
    table = (result.boxes, result.scores, result.image_ids - 1, result.classes)
    for ours, expected in zip(table, _video(golden, name, "outnms"), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", VIDEOS)
def test_equals_the_original(name):
    golden = np.load(DATA / "seqnms_small.npz")
    _check_paths(golden, name)
    _check_video(golden, name)


@pytest.mark.parametrize("name", VIDEOS)
def test_equals_the_original_for_all_classes(golden, name):
    _check_paths(golden("seqnms"), name)
    _check_video(golden("seqnms"), name)


A, B = [0.0, 0, 99, 99], [10.0, 0, 109, 99]  # IoU 0.82
FAR = [300.0, 300, 350, 350]


def _flat(*frames) -> tuple[np.ndarray, ...]:
    """Boxes, scores, times and classes of frames of (box, score)."""
    flat = [(t, *pair) for t, frame in enumerate(frames) for pair in frame]
    times, boxes, scores = zip(*flat, strict=True) if flat else ((), (), ())
    return (
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(scores, np.float64),
        np.array(times, np.int64),
        np.zeros(len(flat), np.int64),
    )


def _run(*frames) -> tuple[list, list]:
    """Seq-NMS of frames of (box, score): new scores and what is kept, by frame."""
    cuts = np.cumsum([len(frame) for frame in frames])[:-1]
    results = (np.split(result, cuts) for result in seq_nms(*_flat(*frames)))
    return tuple([frame.tolist() for frame in result] for result in results)


def test_a_path_gets_its_mean_and_suppresses_neighbors():
    scores, keep = _run([(A, 0.9), (B, 0.5)], [(A, 0.1), (B, 0.3)])
    # Sums: A or B then B is best, 0.9 + 0.3.
    assert scores[0][0] == scores[1][1] == pytest.approx(0.6)
    assert keep == [[True, False], [False, True]]


def test_without_links_nothing_changes():
    scores, keep = _run([(A, 0.9), (B, 0.5)], [(FAR, 0.4)])
    assert scores == [[0.9, 0.5], [0.4]]
    assert keep == [[True, True], [True]]


def test_ends_with_the_last_link():
    # After the path of A nothing is linked: the two far boxes suppress nothing.
    scores, keep = _run([(A, 0.9), (FAR, 0.5), (FAR, 0.4)], [(A, 0.9)])
    assert keep == [[True, True, True], [True]]
    assert scores[0][1:] == [0.5, 0.4]


def test_ends_below_the_least_path_score():
    scores, keep = _run([(A, 0.004), (B, 0.003)], [(A, 0.005)])
    assert scores == [[0.004, 0.003], [0.005]]
    assert keep == [[True, True], [True]]


def test_empty_frames_break_paths():
    scores, _ = _run([(A, 0.9)], [], [(A, 0.1)], [(A, 0.3)])
    assert scores == [[0.9], [], [pytest.approx(0.2)], [pytest.approx(0.2)]]


def test_boxes_inside_out_are_left_as_they_are():
    inside_out = [99.0, 99, 0, 0]
    scores, keep = _run([(A, 0.9), (inside_out, 0.8)], [(A, 0.5), (inside_out, 0.2)])
    assert scores == [[pytest.approx(0.7), 0.8], [pytest.approx(0.7), 0.2]]
    assert keep == [[True, True], [True, True]]


def test_nothing_at_all():
    assert _run([], []) == ([[], []], [[], []])
    detections = seq_nms_video(Detections.empty(), np.zeros(0, np.int64))
    assert len(detections) == 0


_positions = st.builds(lambda x, y: [x, y, x + 9, y + 9], st.integers(0, 9), st.integers(0, 3))
# Few values, zero among them, so that ties of scores and of sums are common.
_scores = st.sampled_from([0.0, 0.002, 0.1, 0.2, 0.3, 0.5, 0.8])
_frame = st.lists(st.tuples(_positions, _scores), max_size=6)


@given(st.lists(_frame, min_size=1, max_size=6), st.integers(1, 8), st.data())
def test_equals_the_plain_version(frames, boxes_at_once, data):
    boxes, scores, times, _ = _flat(*frames)
    size = len(scores)
    classes = np.array(data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)), int)
    order = np.array(data.draw(st.permutations(range(size))), int)
    video = [array[order] for array in (boxes, scores, times, classes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fgfa.evaluation.seq_nms._BOXES_AT_ONCE", boxes_at_once)
        result = seq_nms(*video)
    for ours, expected in zip(result, plain_seq_nms(*video), strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_plain_version_where_paths_cross(seed, levels):
    """Paths share boxes, so that taking one changes many; with few levels of scores most tie."""
    generator = np.random.default_rng(seed)
    corners = generator.integers(0, 30, (360, 2)).astype(float)
    boxes = np.concatenate([corners, corners + 30], axis=1)
    scores = generator.integers(1, levels + 1, 360) / levels
    video = boxes, scores, np.repeat(np.arange(30), 12), np.zeros(360, int)
    for ours, expected in zip(seq_nms(*video), plain_seq_nms(*video), strict=True):
        np.testing.assert_array_equal(ours, expected)


@given(st.lists(_frame, min_size=1, max_size=5))
def test_sum_of_a_path_is_kept_and_its_boxes_stand_apart(frames):
    boxes, before, times, classes = _flat(*frames)
    scores, keep = seq_nms(boxes, before, times, classes)
    assert scores[keep].sum() == pytest.approx(before[keep].sum())
    # A box that a path took is at IoU < 0.3 from all other boxes left in its frame.
    for box in np.flatnonzero(scores != before):
        others = keep & (times == times[box])
        others[box] = False
        assert (iou(boxes[box], boxes[others]) < 0.3).all()


@given(_frame)
def test_one_frame_is_left_as_it_is(frame):
    scores, keep = _run(frame)
    assert scores == [[score for _, score in frame]]
    assert keep == [[True] * len(frame)]


def _found(*rows) -> Detections:
    """Detections from (image id, class, score, box)."""
    ids, classes, scores, boxes = zip(*rows, strict=True)
    return Detections(np.array(ids), np.array(classes), np.array(scores), np.array(boxes))


def test_data_set_links_within_videos_and_classes(make_frames):
    frames = make_frames([[], []], "a", first_id=1) + make_frames([[]], "b", first_id=3)
    found = _found((3, 0, 0.2, A), (1, 0, 0.8, A), (2, 0, 0.4, A), (2, 1, 0.9, B), (9, 0, 0.9, A))
    result = seq_nms_dataset(frames, found)
    rows = zip(result.image_ids.tolist(), result.classes.tolist(), result.scores, strict=True)
    assert sorted(rows) == [
        (1, 0, pytest.approx(0.6)),
        (2, 0, pytest.approx(0.6)),
        (2, 1, 0.9),
        (3, 0, 0.2),
    ]


def test_data_set_applies_nms_and_the_limit(make_frames):
    frames = make_frames([[]])
    found = _found((1, 0, 0.9, A), (1, 0, 0.8, B), (1, 0, 0.7, FAR), (1, 1, 0.6, B))
    assert sorted(seq_nms_dataset(frames, found).scores) == [0.6, 0.7, 0.9]
    assert sorted(seq_nms_dataset(frames, found, detections_per_image=2).scores) == [0.7, 0.9]
    assert len(seq_nms_dataset(frames, found, nms_iou=0.9, detections_per_image=-1)) == 4


def test_limit_keeps_ties_and_order():
    found = _found((2, 0, 0.5, A), (1, 0, 0.1, A), (1, 0, 0.9, A), (1, 0, 0.5, B), (1, 1, 0.5, B))
    assert best_of_each_frame(found, 2).scores.tolist() == [0.5, 0.9, 0.5, 0.5]
    assert len(best_of_each_frame(Detections.empty(), 2)) == 0
    assert len(best_of_each_frame(found, 0)) == 0
