from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.evaluation.boxes import iou
from fgfa.evaluation.records import Detections
from fgfa.evaluation.seq_nms import best_of_each_frame, seq_nms, seq_nms_dataset, seq_nms_video

DATA = Path(__file__).parents[1] / "data"
VIDEOS = ["main", "short", "one_frame"]


def _by_class_and_frame(golden, name: str, kind: str) -> list[list[np.ndarray]]:
    counts = golden[f"{name}_{kind}_counts"]
    frames = np.split(golden[f"{name}_{kind}_boxes"], np.cumsum(counts.ravel())[:-1])
    length = counts.shape[1]
    return [frames[start : start + length] for start in range(0, len(frames), length)]


def _sorted(rows: np.ndarray) -> np.ndarray:
    """Rows in an order of their own: the original leaves a frame's boxes in that of a hash set."""
    return rows[np.lexsort(rows.T)]


def _check_paths(golden, name: str) -> None:
    given_classes, expected_classes = (_by_class_and_frame(golden, name, k) for k in ("in", "out"))
    for frames, expected in zip(given_classes, expected_classes, strict=True):
        scores, keep = seq_nms([rows[:, :4] for rows in frames], [rows[:, 4] for rows in frames])
        for rows, new, kept, out in zip(frames, scores, keep, expected, strict=True):
            result = np.column_stack([rows[:, :4], new])[kept]
            np.testing.assert_allclose(_sorted(result), _sorted(out), rtol=0, atol=1e-9)


def _check_video(golden, name: str) -> None:
    classes = _by_class_and_frame(golden, name, "in")
    flat = [
        (c, t, row) for c, frames in enumerate(classes) for t, f in enumerate(frames) for row in f
    ]
    rows = np.array([row for _, _, row in flat])
    times = np.array([t for _, t, _ in flat])
    detections = Detections(times + 1, np.array([c for c, _, _ in flat]), rows[:, 4], rows[:, :4])
    result = seq_nms_video(detections, times)
    table = np.column_stack([result.boxes, result.scores])
    np.testing.assert_allclose(table, golden[f"{name}_outnms_boxes"], rtol=0, atol=1e-9)
    counts = np.zeros(golden[f"{name}_outnms_counts"].shape, int)
    np.add.at(counts, (result.classes, result.image_ids - 1), 1)
    np.testing.assert_array_equal(counts, golden[f"{name}_outnms_counts"])


@pytest.mark.parametrize("name", VIDEOS)
def test_equals_the_original(name):
    golden = np.load(DATA / "seqnms_small.npz")
    _check_paths(golden, name)
    _check_video(golden, name)


def test_equals_the_original_for_all_classes(shared_dir: Path):
    golden = np.load(shared_dir / "golden" / "seqnms.npz")
    _check_paths(golden, "main")
    _check_video(golden, "main")


A, B = [0.0, 0, 99, 99], [10.0, 0, 109, 99]  # IoU 0.82
FAR = [300.0, 300, 350, 350]


def _run(*frames):
    """Seq-NMS of frames of (box, score)."""
    boxes = [np.array([box for box, _ in frame]).reshape(-1, 4) for frame in frames]
    scores, keep = seq_nms(boxes, [np.array([score for _, score in frame]) for frame in frames])
    return [s.tolist() for s in scores], [k.tolist() for k in keep]


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


def test_nothing_at_all():
    assert _run([], []) == ([[], []], [[], []])
    assert _run() == ([], [])


_frame = st.lists(
    st.tuples(
        st.builds(lambda x, y: [x, y, x + 9.0, y + 9.0], st.integers(0, 12), st.integers(0, 3)),
        st.integers(1, 1000).map(lambda score: score / 1000),
    ),
    max_size=5,
)


@given(st.lists(_frame, min_size=1, max_size=5))
def test_sum_of_a_path_is_kept_and_its_boxes_stand_apart(frames):
    boxes = [np.array([box for box, _ in frame]).reshape(-1, 4) for frame in frames]
    before = [np.array([score for _, score in frame]) for frame in frames]
    scores, keep = seq_nms(boxes, before)
    kept_before = sum(b[k].sum() for b, k in zip(before, keep, strict=True))
    assert sum(s[k].sum() for s, k in zip(scores, keep, strict=True)) == pytest.approx(kept_before)
    for frame, old, new, kept in zip(boxes, before, scores, keep, strict=True):
        # A box that a path took is at IoU < 0.3 from all other boxes left in its frame.
        changed = np.flatnonzero(old != new)
        overlaps = iou(frame[changed][:, None], frame[kept])
        assert (np.sort(overlaps, axis=1)[:, :-1] < 0.3).all()


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
