"""Hostile files of detections and of motion IoU."""

import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from fgfa.errors import InputError
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


@pytest.mark.parametrize("name", ["a.txt", "a.json"])
def test_compressed_file_that_would_fill_memory(name: str, fuzz) -> None:
    path = fuzz.folder / f"{name}.gz"
    start = {"a.txt": b"1 1 0.5 1 2 3 4\n", "a.json": b"["}[name]
    path.write_bytes(gzip.compress(start + b" " * (1 << 27), 1))
    with fuzz.case(path), pytest.raises(InputError, match=r"holds more than \d+ MB"):
        read(path)


@pytest.mark.parametrize("line", ["1e300 1 0.5 0 0 9 9", "9007199254740993 1 0.5 0 0 9 9"])
def test_frame_id_that_is_not_exact(line: str, fuzz) -> None:
    path = fuzz.folder / "a.txt"
    path.write_text(f"1 1 0.5 0 0 9 9\n{line}\n")
    with pytest.raises(InputError, match=r"line 2 of .*a\.txt .* beyond 2\^53"):
        read(path)


def test_box_whose_end_is_not_finite(fuzz) -> None:
    path = fuzz.folder / "a.json"
    box = {"image_id": 1, "category_id": 1, "bbox": [1e308, 0, 1e308, 1], "score": 1}
    path.write_text(json.dumps([box]))
    with pytest.raises(InputError, match=r"detection 0 .* not finite"):
        read(path)


def test_motion_iou_that_would_fill_memory(fuzz) -> None:
    path = fuzz.folder / "a.mat"
    bomb = zlib.compress(bytes(1 << 28), 1)
    head = motion_iou([np.ones((1, 1))])[:128]
    path.write_bytes(head + struct.pack("<II", 15, len(bomb)) + bomb)
    with fuzz.case(path), pytest.raises(InputError, match=r"a variable takes more than \d+ MB"):
        read_motion_iou(path)


@pytest.mark.parametrize("count", [2, 1 << 30, -1])
def test_motion_iou_of_fewer_cells_than_it_says(count: int, fuzz) -> None:
    path = fuzz.folder / "a.mat"
    content = motion_iou([np.ones((1, 1))], compressed=False)
    axes = struct.pack("<IIii", 5, 8, 1, 1)  # those of the cell array come first
    path.write_bytes(content.replace(axes, struct.pack("<IIii", 5, 8, count, 1), 1))
    with fuzz.case(path), pytest.raises(InputError, match=f"1 of {count} cells"):
        read_motion_iou(path)


@pytest.mark.parametrize("order", "<>")
def test_motion_iou_of_either_byte_order(order: str, fuzz) -> None:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(class_: int, axes: tuple[int, int], name: bytes, rest: bytes) -> bytes:
        flags, sizes = struct.pack(f"{order}II", class_, 0), struct.pack(f"{order}ii", *axes)
        return element(14, element(6, flags) + element(5, sizes) + element(1, name) + rest)

    small = struct.pack(f"{order}I", 2 << 16 | 2) + b"\1\0\0\0"  # uint8 1, 0 within the tag
    cells = matrix(9, (2, 1), b"", small) + element(14, b"")
    head = bytes(126) + {"<": b"IM", ">": b"MI"}[order]
    path = fuzz.folder / "a.mat"
    path.write_bytes(head + matrix(1, (2, 1), b"motion_iou", cells))
    assert [values.tolist() for values in read_motion_iou(path)] == [[1.0, 0.0], []]
