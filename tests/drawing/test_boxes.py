"""Drawing of detections."""

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from fgfa.drawing import class_color, draw_instances, track_color

SIZE = (90, 120)


def make_instances(boxes: list[list[float]], classes: list[int], scores: list[float]) -> Instances:
    instances = Instances(SIZE)
    instances.pred_boxes = Boxes(torch.tensor(boxes).reshape(-1, 4))
    instances.pred_classes = torch.tensor(classes, dtype=torch.int64)
    instances.scores = torch.tensor(scores)
    return instances


def gray() -> np.ndarray:
    return np.full((*SIZE, 3), 100, np.uint8)


def test_box_is_drawn_in_its_place_and_color():
    image = draw_instances(gray(), make_instances([[20.2, 30.4, 79.8, 80.1]], [3], [0.9]))
    for y, x in [(80, 50), (60, 20), (60, 80)]:
        assert tuple(image[y, x]) == class_color(3)
    assert (image[40:70, 30:70] == 100).all()
    assert (image[83:] == 100).all()


def test_frame_is_left_as_it_is_and_without_detections_unchanged():
    frame = gray()
    draw_instances(frame, make_instances([[20, 30, 80, 80]], [0], [0.9]))
    assert (frame == 100).all()
    assert (draw_instances(frame, make_instances([], [], [])) == 100).all()


def test_low_scores_are_left_out():
    instances = make_instances([[5, 30, 40, 80], [70, 30, 110, 80]], [0, 0], [0.4, 0.6])
    image = draw_instances(gray(), instances, min_score=0.5)
    assert (image[40:, :60] == 100).all()
    assert tuple(image[60, 70]) == class_color(0)


def test_higher_score_is_on_top():
    boxes = [[20, 30, 80, 80]] * 2
    image = draw_instances(gray(), make_instances(boxes, [1, 2], [0.9, 0.3]))
    assert tuple(image[60, 20]) == class_color(1)


def test_colors_of_thirty_classes_differ():
    assert len({class_color(label) for label in range(30)}) == 30
    assert class_color(7) == class_color(7)


def test_name_is_written_and_number_where_there_is_none():
    instances = make_instances([[20, 40, 80, 80]], [1], [0.9])
    dog = draw_instances(gray(), instances, ["cat", "dog"])
    cow = draw_instances(gray(), instances, ["cat", "cow"])
    number = draw_instances(gray(), instances, ["cat"])
    assert (dog[:40] != cow[:40]).any()
    assert (number[:40] != dog[:40]).any()


def test_label_stays_inside_of_the_frame():
    corner = draw_instances(gray(), make_instances([[100, 0, 119, 60]], [1], [0.9]), ["", "dog"])
    color = np.array(class_color(1))
    label = (corner == color).all(axis=2)
    # The label's filled area is wider than the box, and begins below the top edge.
    assert label[:15].sum() > 100
    assert label[:15, :95].any()


def test_tracks_have_one_color_and_number_whatever_the_class():
    drawn = []
    for label, track in [(1, 3), (2, 3), (2, 4)]:
        instances = make_instances([[20, 40, 80, 80]], [label], [0.9])
        instances.track_ids = torch.tensor([track])
        drawn.append(draw_instances(gray(), instances, ["same", "same", "same"]))
    assert tuple(drawn[0][60, 20]) == track_color(3) != class_color(1)
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[1] != drawn[2]).any()
    assert len({track_color(track) for track in range(1, 31)}) == 30


def test_number_of_the_track_is_in_the_label(monkeypatch: pytest.MonkeyPatch):
    texts = []
    monkeypatch.setattr("fgfa.drawing.boxes.draw_box", lambda *args: texts.append(args[2]))
    instances = make_instances([[20, 40, 80, 80]], [0], [0.66])
    draw_instances(gray(), instances, ["car"])
    instances.track_ids = torch.tensor([3])
    draw_instances(gray(), instances, ["car"])
    assert texts == ["car 66%", "#3 car 66%"]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 300), (300, 9)])
def test_frames_smaller_than_a_label(size: tuple[int, int]):
    height, width = size
    box = [0, 0, width, height]
    frame = np.zeros((*size, 3), np.uint8)
    assert draw_instances(frame, make_instances([box], [0], [0.9])).shape == frame.shape
