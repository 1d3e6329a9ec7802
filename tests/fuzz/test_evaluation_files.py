"""Hostile files of detections and of motion IoU."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from fgfa.evaluation.motion_iou_file import read_motion_iou
from fgfa.evaluation.prediction_file import read_predictions, write_predictions
from fgfa.evaluation.records import Detections

CLASSES = 3


def detections(count: int = 6) -> Detections:
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 90, (count, 4)).round(2)
    return Detections(
        np.arange(count) % 3 + 1, np.arange(count) % CLASSES, rng.uniform(0, 1, count), boxes
    )


def read(path: Path) -> None:
    found = read_predictions(path, CLASSES)
    assert np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()
    assert np.isin(found.classes, range(CLASSES)).all()


@pytest.fixture
def seed(tmp_path: Path) -> Callable[[str], bytes]:
    def seed(name: str) -> bytes:
        write_predictions(tmp_path / name, detections())
        return (tmp_path / name).read_bytes()

    return seed


@pytest.mark.parametrize("name", ["a.txt", "a.json"])
def test_text(name: str, fuzz, seed: Callable, text_changes: Callable) -> None:
    fuzz.run(read, name, [seed(name)], text_changes, share=2)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.json.gz"])
def test_compressed(name: str, fuzz, seed: Callable, text_changes: Callable) -> None:
    fuzz.run(read, name, [seed(name)])
    text = gzip.decompress(seed(name))
    fuzz.run(read, name, [gzip.compress(text)])


def test_detectron2(fuzz, seed: Callable) -> None:
    fuzz.run(read, "a.pth", [seed("a.pth")])
    buffer = io.BytesIO()
    torch.save([{"image_id": 1, "instances": []}], buffer, _use_new_zipfile_serialization=False)
    fuzz.run(read, "a.pth", [buffer.getvalue()])


def motion_iou(frames: list, compressed: bool = True) -> bytes:
    buffer = io.BytesIO()
    cells = np.empty((len(frames), 1), object)
    cells[:, 0] = frames
    scipy.io.savemat(buffer, {"motion_iou": cells}, do_compression=compressed)
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
def test_motion_iou(compressed: bool, fuzz) -> None:
    frames = [np.full((n, 1), 0.5) if n else np.zeros((1, 0)) for n in (2, 0, 1)]
    frames.append(np.ones((3, 1), np.uint8))
    content = motion_iou(frames, compressed)

    def read(path: Path) -> None:
        for values in read_motion_iou(path):
            assert values.dtype == np.float64 and values.ndim == 1

    fuzz.run(read, "a.mat", [content], share=2)
