"""Detections of a frame as plain values."""

import json

import pytest
import torch
from detectron2.structures import Boxes, Instances

from fgfa.detection_json import detection_record

NAMES = ["airplane", "bicycle"]


def make_instances(scores: list[float], **fields: list[int]) -> Instances:
    instances = Instances((48, 64))
    count = len(scores)
    corners = torch.tensor([10.0, 20.126, 30.333333, 40.0])
    instances.pred_boxes = Boxes(corners + torch.arange(count)[:, None])
    instances.scores = torch.tensor(scores)
    instances.pred_classes = torch.tensor([i % 3 for i in range(count)], dtype=torch.int64)
    for name, values in fields.items():
        instances.set(name, torch.tensor(values))
    return instances


def test_a_record_has_all_that_is_known():
    instances = make_instances([0.123456, 0.9], track_ids=[7, 8])
    record = detection_record(12, instances, NAMES, seconds=0.4800002, name="a/b.jpg")
    assert record == {
        "frame": 12,
        "seconds": 0.48,
        "name": "a/b.jpg",
        "detections": [
            {
                "class": "bicycle",
                "class_id": 1,
                "score": 0.9,
                "box": [11.0, 21.13, 31.33, 41.0],
                "track": 8,
            },
            {
                "class": "airplane",
                "class_id": 0,
                "score": 0.12346,
                "box": [10.0, 20.13, 30.33, 40.0],
                "track": 7,
            },
        ],
    }
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_what_is_not_known_is_left_out():
    record = detection_record(0, make_instances([0.5]), NAMES)
    assert set(record) == {"frame", "detections"}
    assert set(record["detections"][0]) == {"class", "class_id", "score", "box"}


def test_time_zero_is_known():
    assert detection_record(0, make_instances([]), NAMES, seconds=0.0)["seconds"] == 0


@pytest.mark.parametrize("fields", [{}, {"track_ids": []}])
def test_a_frame_without_detections_has_a_record(fields: dict[str, list[int]]):
    record = detection_record(3, make_instances([], **fields), NAMES)
    assert record == {"frame": 3, "detections": []}


def test_equal_scores_keep_their_order_and_classes_without_name_are_numbered():
    record = detection_record(0, make_instances([0.5] * 3 + [0.6] * 3), NAMES)
    found = [(d["class"], d["score"]) for d in record["detections"]]
    names = ["airplane", "bicycle", "class 2"]
    assert found == [(name, 0.6) for name in names] + [(name, 0.5) for name in names]
