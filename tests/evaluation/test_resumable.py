"""Detections of finished videos, kept for an evaluation that was interrupted."""

from pathlib import Path

import pytest
import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Boxes, Instances

from fgfa.errors import InputError
from fgfa.evaluation.resumable import FinishedVideos, ResumableEvaluator

FRAMES = [{"image_id": i, "video_id": video, "video_length": 2} for i, video in enumerate("aabb")]


class Recorder(DatasetEvaluator):
    """Gives back all that it was passed."""

    def reset(self) -> None:
        self.seen: dict[int, Instances] = {}

    def process(self, inputs: list[dict], outputs: list[dict]) -> None:
        for frame, output in zip(inputs, outputs, strict=True):
            self.seen[frame["image_id"]] = output["instances"]

    def evaluate(self) -> dict[int, Instances]:
        return self.seen


def detections(seed: int) -> Instances:
    generator = torch.Generator().manual_seed(seed)
    return Instances(
        (48, 64),
        pred_boxes=Boxes(torch.rand(seed, 4, generator=generator)),
        scores=torch.rand(seed, generator=generator),
        pred_classes=torch.arange(seed),
    )


def begin(folder: Path, fingerprint: str = "x", resume: bool = False) -> ResumableEvaluator:
    evaluator = ResumableEvaluator(
        Recorder(), FinishedVideos(folder, FRAMES, fingerprint, resume=resume)
    )
    evaluator.reset()
    return evaluator


def detect(evaluator: ResumableEvaluator, *image_ids: int) -> None:
    for image_id in image_ids:
        evaluator.process([FRAMES[image_id]], [{"instances": detections(image_id)}])


def test_whole_videos_are_kept_to_the_bit(tmp_path: Path):
    detect(begin(tmp_path / "kept"), 0, 1, 2)
    evaluator = begin(tmp_path / "kept", resume=True)
    detect(evaluator, 2, 3)
    seen = evaluator.evaluate()
    assert list(seen) == [0, 1, 2, 3]
    for image_id, found in seen.items():
        expected = detections(image_id)
        assert found.image_size == expected.image_size
        assert torch.equal(found.pred_boxes.tensor, expected.pred_boxes.tensor)
        assert torch.equal(found.scores, expected.scores)
        assert torch.equal(found.pred_classes, expected.pred_classes)
    assert not (tmp_path / "kept").exists()


def test_only_whole_videos_are_left_out(tmp_path: Path):
    detect(begin(tmp_path), 0, 1, 2)
    assert FinishedVideos(tmp_path, FRAMES, "x", resume=True).ids == {"a"}


def test_a_video_is_whole_without_its_corrupt_frames(tmp_path: Path):
    evaluator = begin(tmp_path)
    frame = {**FRAMES[1], "video_length": 1}
    evaluator.process([frame], [{"instances": detections(1)}])
    kept = FinishedVideos(tmp_path, FRAMES, "x", resume=True)
    assert kept.ids == {"a"}
    assert [image_id for image_id, _ in kept.read()] == [1]


def test_a_video_is_whole_once_its_listed_frames_are_there(tmp_path: Path):
    evaluator = begin(tmp_path)
    for frame in FRAMES[:2]:
        evaluator.process([{**frame, "video_length": 9}], [{"instances": detections(1)}])
    assert FinishedVideos(tmp_path, FRAMES, "x", resume=True).ids == {"a"}


def test_evaluation_begins_anew_without_resume(tmp_path: Path):
    detect(begin(tmp_path), 0, 1)
    assert FinishedVideos(tmp_path, FRAMES, "y").ids == set()
    assert FinishedVideos(tmp_path, FRAMES, "y", resume=True).ids == set()


def test_other_fingerprint_is_one_sentence(tmp_path: Path):
    detect(begin(tmp_path), 0, 1)
    with pytest.raises(InputError, match="an unfinished evaluation of another model"):
        FinishedVideos(tmp_path, FRAMES, "y", resume=True)
    assert FinishedVideos(tmp_path, FRAMES, "x", resume=True).ids == {"a"}
