"""Numbers of detections in a video."""

from random import Random

import pytest
import torch
from detectron2.structures import Boxes, Instances
from hypothesis import given
from hypothesis import strategies as st

from fgfa.tracking import Tracker

SIZE = (100, 200)
LEFT, RIGHT = (10.0, 10.0, 49.0, 49.0), (110.0, 10.0, 149.0, 49.0)


def make_frame(
    *boxes: tuple[float, float, float, float],
    classes: list[int] | None = None,
    scores: list[float] | None = None,
    size: tuple[int, int] = SIZE,
) -> Instances:
    instances = Instances(size)
    instances.pred_boxes = Boxes(torch.tensor(boxes).reshape(-1, 4))
    instances.pred_classes = torch.tensor(classes or [0] * len(boxes), dtype=torch.int64)
    instances.scores = torch.tensor(scores or [0.9] * len(boxes))
    return instances


def moved(box: tuple[float, float, float, float], x: float) -> tuple[float, float, float, float]:
    return (box[0] + x, box[1], box[2] + x, box[3])


def numbers(tracker: Tracker, *frames: Instances) -> list[list[int]]:
    return [tracker.update(frame).track_ids.tolist() for frame in frames]


def test_numbers_stay_with_objects_whatever_the_order_of_boxes():
    frames = [
        make_frame(LEFT, RIGHT),
        make_frame(moved(RIGHT, -5), moved(LEFT, 8)),
        make_frame(moved(LEFT, 16), moved(RIGHT, -10)),
    ]
    assert numbers(Tracker(), *frames) == [[1, 2], [2, 1], [1, 2]]


def test_new_tracks_are_numbered_by_score():
    assert numbers(Tracker(), make_frame(LEFT, RIGHT, scores=[0.3, 0.8])) == [[2, 1]]


def test_a_link_needs_the_class_and_the_overlap():
    tracker = Tracker()
    # 40 pixels wide: moved by 13 the IoU is 27/53, moved by 14 it is 26/54.
    assert numbers(
        tracker,
        make_frame(LEFT),
        make_frame(moved(LEFT, 13)),
        make_frame(moved(LEFT, 27)),
        make_frame(moved(LEFT, 27), classes=[1]),
    ) == [[1], [1], [2], [3]]


@pytest.mark.parametrize(("gap", "number"), [(0, 1), (2, 1), (3, 2)])
def test_a_track_waits_a_few_frames(gap: int, number: int):
    frames = [make_frame(LEFT), *[make_frame()] * gap, make_frame(moved(LEFT, 4))]
    assert numbers(Tracker(max_missed=2), *frames)[-1] == [number]


def test_of_two_candidates_the_pairs_of_largest_total_overlap_are_linked():
    first, second = LEFT, moved(LEFT, 10)
    tracker = Tracker()
    assert numbers(tracker, make_frame(first, second)) == [[1, 2]]
    # The left box overlaps the second best of all, but then the right one would be left over.
    assert numbers(tracker, make_frame(moved(LEFT, 6), moved(LEFT, 16))) == [[1, 2]]


def test_track_of_the_frame_before_comes_first():
    tracker = Tracker()
    assert numbers(tracker, make_frame(LEFT, moved(LEFT, 12), scores=[0.9, 0.8])) == [[1, 2]]
    # The left object is missed, and the other one moves to its place.
    assert numbers(tracker, make_frame(moved(LEFT, 8))) == [[2]]
    assert numbers(tracker, make_frame(LEFT)) == [[2]]


def test_frame_of_another_size_starts_a_new_video():
    assert numbers(Tracker(), make_frame(LEFT), make_frame(LEFT, size=(90, 200))) == [[1], [2]]


def test_detections_are_left_as_they_are():
    frame = make_frame(LEFT, RIGHT, classes=[3, 1], scores=[0.2, 0.7])
    numbered = Tracker().update(frame)
    assert not frame.has("track_ids")
    assert numbered.image_size == SIZE
    assert torch.equal(numbered.pred_boxes.tensor, frame.pred_boxes.tensor)
    assert torch.equal(numbered.scores, frame.scores)
    assert numbered.pred_classes.tolist() == [3, 1]


coordinates = st.integers(0, 80)
boxes = st.tuples(coordinates, coordinates, st.integers(5, 60), st.integers(5, 60))
frames = st.lists(st.lists(st.tuples(boxes, st.integers(0, 1)), max_size=5), max_size=6)


@given(frames)
def test_numbers_are_unique_in_a_frame_and_of_one_class(video: list):
    tracker, label_of = Tracker(), {}
    for drawn in video:
        corners = [(float(x), float(y), float(x + w), float(y + h)) for (x, y, w, h), _ in drawn]
        frame = make_frame(*corners, classes=[label for _, label in drawn])
        found = tracker.update(frame).track_ids.tolist()
        assert len(set(found)) == len(drawn)
        for number, label in zip(found, frame.pred_classes.tolist(), strict=True):
            assert label_of.setdefault(number, label) == label


@given(frames, st.randoms(use_true_random=False))
def test_order_of_detections_makes_no_difference(video: list, random: Random):
    shuffled = [random.sample(drawn, len(drawn)) for drawn in video]
    found = []
    for order in (video, shuffled):
        tracker, rows = Tracker(), []
        for drawn in order:
            corners = [
                (float(x), float(y), float(x + w), float(y + h)) for (x, y, w, h), _ in drawn
            ]
            frame = make_frame(*corners, classes=[label for _, label in drawn])
            rows.append(sorted(zip(drawn, tracker.update(frame).track_ids.tolist(), strict=True)))
        found.append(rows)
    assert found[0] == found[1]


@given(
    st.lists(st.tuples(st.integers(-6, 6), st.integers(0, 2)), min_size=1, max_size=15),
    st.lists(boxes, max_size=2),
)
def test_object_that_moves_slowly_keeps_its_number(steps: list, others: list):
    """It is missed for up to two frames before each step; others stand far away."""
    tracker, left, found = Tracker(), 500.0, set()
    around = [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in others]
    for step, missed in steps:
        for _ in range(missed if found else 0):
            tracker.update(make_frame(*around))
        left += step
        ids = tracker.update(make_frame((left, 0.0, left + 39, 39.0), *around)).track_ids
        found.add(int(ids[0]))
    assert len(found) == 1
