"""The files of a video's detections."""

import json
from pathlib import Path

import pytest
import torch
from detectron2.structures import Boxes, Instances

from fgfa.errors import InputError
from fgfa.video_batch.results import read_header, remove_results, write_results

HEADER = {"video": "x.mp4", "settings": "abc"}


def make_instances(*scores: float) -> Instances:
    instances = Instances((48, 64))
    instances.pred_boxes = Boxes(torch.tensor([[1.0, 2.0, 30.126, 40.0]] * len(scores)))
    instances.scores = torch.tensor(scores)
    instances.pred_classes = torch.tensor([1] * len(scores), dtype=torch.int64)
    return instances


def write(base: Path, *frames: Instances) -> None:
    with write_results(base, HEADER) as writer:
        for number, instances in enumerate(frames):
            writer.write(instances, ["cat", "dog"], seconds=number / 10)


def test_json_has_header_frames_and_their_number(tmp_path: Path):
    write(tmp_path / "a" / "x.mp4", make_instances(0.5, 0.75), make_instances())
    content = json.loads((tmp_path / "a" / "x.mp4.json").read_text())
    found = {"class": "dog", "class_id": 1, "box": [1.0, 2.0, 30.13, 40.0]}
    assert content == {
        **HEADER,
        "width": 64,
        "height": 48,
        "frames": [
            {
                "frame": 0,
                "seconds": 0.0,
                "detections": [{**found, "score": 0.75}, {**found, "score": 0.5}],
            },
            {"frame": 1, "seconds": 0.1, "detections": []},
        ],
        "num_frames": 2,
        "left_out": [],
    }


def test_text_counts_frames_and_classes_from_one(tmp_path: Path):
    write(tmp_path / "x.mp4", make_instances(0.5), make_instances(), make_instances(0.25))
    lines = ["1 2 0.5000 1.00 2.00 30.13 40.00\n", "3 2 0.2500 1.00 2.00 30.13 40.00\n"]
    assert (tmp_path / "x.mp4.txt").read_text() == "".join(lines)


def test_header_is_read_without_the_frames(tmp_path: Path):
    write(tmp_path / "x", *[make_instances(0.5)] * 3)
    assert read_header(tmp_path / "x") == {**HEADER, "width": 64, "height": 48}
    assert read_header(tmp_path / "y") is None


def test_nothing_is_there_before_the_end_or_after_a_failure(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), write_results(tmp_path / "x", HEADER) as writer:
        writer.write(make_instances(0.5), [])
        assert not list(tmp_path.glob("x*"))
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_video_without_frames_has_no_results(tmp_path: Path):
    with pytest.raises(InputError, match="no frame"):
        write(tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_json_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x.txt").mkdir()  # where the text cannot be written
    with pytest.raises(InputError, match=r"x\.txt cannot be written"):
        write(tmp_path / "x", make_instances())
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize("text", ["", "{}{\n", '["a"', "\x00\x01"])
def test_another_file_in_its_place_is_one_sentence(text: str, tmp_path: Path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json is not a result"):
        read_header(tmp_path / "x")


def test_results_are_removed(tmp_path: Path):
    write(tmp_path / "x", make_instances())
    (tmp_path / "x.mp4").write_text("")
    remove_results(tmp_path / "x")
    remove_results(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x.mp4"]
