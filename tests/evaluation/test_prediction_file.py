import gzip
import logging
from pathlib import Path

import numpy as np
import pytest

from fgfa.errors import InputError
from fgfa.evaluation.prediction_file import (
    read_prediction_files,
    read_predictions,
    write_predictions,
)
from fgfa.evaluation.records import Detections

DETECTIONS = Detections(
    np.array([4, 4, 2]),
    np.array([0, 29, 3]),
    np.array([0.5, 0.25, 0.125]),
    np.array([[1.5, 2, 30, 40], [0, 0, 9.25, 9], [-3, 5, 100, 200]]),
)
NAMES = ["a.txt", "a.txt.gz", "a", "a.json", "a.JSON", "a.json.gz", "a.pth"]
FRAMES = np.arange(1, 6)


def _rows(detections: Detections) -> set[tuple]:
    columns = (detections.image_ids, detections.classes, detections.scores)
    return {(*row, *box) for *row, box in zip(*columns, detections.boxes.tolist(), strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_every_format_comes_back(tmp_path: Path, name):
    write_predictions(tmp_path / name, DETECTIONS)
    read = read_predictions(tmp_path / name, 30)
    assert _rows(read) == _rows(DETECTIONS)
    assert (read.image_ids.dtype, read.classes.dtype) == (np.int64, np.int64)


@pytest.mark.parametrize("name", NAMES)
def test_no_detections(tmp_path: Path, name):
    write_predictions(tmp_path / name, Detections.empty())
    assert len(read_predictions(tmp_path / name, 30)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_content_tells_the_format(tmp_path: Path, name):
    write_predictions(tmp_path / name, DETECTIONS)
    (tmp_path / name).rename(tmp_path / "renamed")
    assert _rows(read_predictions(tmp_path / "renamed", 30)) == _rows(DETECTIONS)


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.txt.gz", "a.json.gz"])
def test_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, name):
    write_predictions(tmp_path / name, DETECTIONS)
    is_gzip = name.endswith(".gz")
    content = (tmp_path / name).read_bytes()
    marked = b"\xef\xbb\xbf" + (gzip.decompress(content) if is_gzip else content)
    (tmp_path / name).write_bytes(gzip.compress(marked) if is_gzip else marked)
    assert _rows(read_predictions(tmp_path / name, 30)) == _rows(DETECTIONS)


def test_suffix_gz_compresses(tmp_path: Path):
    for name in ("a.txt.gz", "a.json.gz"):
        write_predictions(tmp_path / name, DETECTIONS)
        assert gzip.decompress((tmp_path / name).read_bytes())[:1] in (b"4", b"[")


def test_category_ids_of_results(tmp_path: Path):
    ids = range(100, 130)
    write_predictions(tmp_path / "a.json", DETECTIONS, ids)
    assert '"category_id": 129' in (tmp_path / "a.json").read_text()
    assert _rows(read_predictions(tmp_path / "a.json", 30, ids)) == _rows(DETECTIONS)
    with pytest.raises(InputError, match=r"has category_id 100; the 30 classes have 1\.\.30"):
        read_predictions(tmp_path / "a.json", 30)


def test_files_that_cannot_be_opened(tmp_path: Path):
    with pytest.raises(InputError, match=r"cannot open the predictions .*: No such file"):
        read_predictions(tmp_path / "a.txt", 30)
    with pytest.raises(InputError, match=r"cannot open the predictions .*: Is a directory"):
        read_predictions(tmp_path, 30)


@pytest.mark.parametrize("length", [5, 30, -4])
def test_cut_gzip(tmp_path: Path, length):
    write_predictions(tmp_path / "a.gz", DETECTIONS)
    (tmp_path / "cut").write_bytes((tmp_path / "a.gz").read_bytes()[:length])
    with pytest.raises(InputError, match="cannot open the predictions"):
        read_predictions(tmp_path / "cut", 30)


def test_bytes_of_no_format(tmp_path: Path):
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"line 1 of .*binary is not a detection"):
        read_predictions(tmp_path / "binary", 30)


def _write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_files_are_joined(tmp_path: Path, caplog):
    text = _write(tmp_path / "a.txt", "1 1 0.5 0 0 9 9", "3 1 0.5 0 0 9 9")
    write_predictions(tmp_path / "b.json", DETECTIONS)
    with caplog.at_level(logging.INFO):
        read = read_prediction_files([text, tmp_path / "b.json"], 30, FRAMES)
    assert read.image_ids.tolist() == [1, 3, 4, 4, 2]
    assert caplog.messages == ["1 of 5 frames have no detections."]


def test_no_detections_at_all_is_a_warning(tmp_path: Path, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(read_prediction_files([_write(tmp_path / "a.txt")], 30, FRAMES)) == 0
    assert caplog.messages == ["5 of 5 frames have no detections."]


def test_a_frame_in_two_files(tmp_path: Path):
    first = _write(tmp_path / "a.txt", *(f"{frame} 1 0.5 0 0 9 9" for frame in (1, 2, 3)))
    second = _write(tmp_path / "b.txt", *(f"{frame} 2 0.5 0 0 9 9" for frame in (2, 3, 4)))
    message = r"a\.txt and .*b\.txt both have detections of frame 2 \(2 frames are in more than one"
    with pytest.raises(InputError, match=message):
        read_prediction_files([first, second], 30, FRAMES)
    with pytest.raises(InputError, match="both have detections of frame 1"):
        read_prediction_files([first, first], 30, FRAMES)


def test_detections_of_other_frames_are_counted(tmp_path: Path, caplog):
    path = _write(tmp_path / "a.txt", *(f"{frame} 1 0.5 0 0 9 9" for frame in (1, 7, 7, 9)))
    with caplog.at_level(logging.WARNING):
        assert len(read_prediction_files([path], 30, FRAMES)) == 4
    (message,) = caplog.messages
    assert message.startswith("3 of 4 detections are left out: their frames (2, such as id 7)")


def test_detections_of_other_frames_alone(tmp_path: Path):
    path = _write(tmp_path / "a.txt", "7 1 0.5 0 0 9 9", "9 1 0.5 0 0 9 9")
    message = (
        r"none of the 2 detections .*: their frame ids are 7\.\.9, those of the data set 1\.\.5"
    )
    with pytest.raises(InputError, match=message):
        read_prediction_files([path], 30, FRAMES)


@pytest.mark.parametrize("box", ["9 0 0 9", "0 9 9 0", "9 9 0 0"])
def test_boxes_that_end_before_they_begin_are_counted(tmp_path: Path, caplog, box):
    path = _write(tmp_path / "a.txt", "1 1 0.5 5 5 5 5", f"3 1 0.5 {box}")
    with caplog.at_level(logging.WARNING):
        assert len(read_prediction_files([path], 30, FRAMES)) == 2
    (message,) = caplog.messages
    assert message.startswith("1 of 2 detections have x2 < x1 or y2 < y1")
    assert "of frame 3" in message
