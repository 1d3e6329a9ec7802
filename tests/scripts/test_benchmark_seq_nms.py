import json
from pathlib import Path

import numpy as np
import pytest

from benchmark import main
from benchmarking.raw_video import raw_video
from benchmarking.seq_nms import Video, VideoFigures, measure, original_video, table
from fgfa.errors import InputError

TINY = ("seq-nms", "--frames=6", "--rois=20", "--classes=3", "--plain-frames=2", "--repeat=1")


@pytest.fixture
def original_file(tmp_path: Path) -> Path:
    """One box of class 0 in frame 1; two boxes of class 1 in frame 0, and one in frame 1."""
    rows = np.array([[0, 0, 9, 9, 0.1], [0, 0, 5, 5, 0.2], [9, 9, 20, 20, 0.3], [0, 0, 5, 5, 0.4]])
    path = tmp_path / "original.npz"
    counts = np.array([[0, 1], [2, 1]])
    np.savez(path, main_in_boxes=rows, main_in_counts=counts, main_seconds=[3.0, 2.0])
    return path


def test_prints_a_table_and_writes_json(original_file: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "figures.json"
    main([*TINY, "--original", str(original_file), "--output", str(output)])
    original, short, half, whole = json.loads(output.read_text())["videos"]
    assert [figures["frames"] for figures in (original, short, half, whole)] == [2, 2, 3, 6]
    assert original["boxes"] == 4
    assert original["original_ratio"] == pytest.approx(2 / original["seconds"])
    assert original["plain_ratio"] > 0
    assert short["plain_ratio"] > 0
    assert whole["plain_ratio"] is whole["original_ratio"] is None
    assert short["boxes"] < half["boxes"] < whole["boxes"]
    assert "made up" in capsys.readouterr().out


def test_reads_the_originals_video(original_file: Path) -> None:
    video = original_video(original_file)
    boxes, scores, times, classes = video.arrays
    assert boxes.shape == (4, 4)
    assert scores.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert times.tolist() == [1, 0, 0, 1]
    assert classes.tolist() == [0, 1, 1, 1]
    assert video.original_seconds == 2


def test_other_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="main_in_boxes"):
        original_video(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", boxes=np.zeros(4))
    with pytest.raises(InputError, match="main_in_boxes"):
        original_video(tmp_path / "other.npz")


def test_another_result_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = raw_video(2, 20, 2)
    monkeypatch.setattr(
        "benchmarking.seq_nms.plain_seq_nms", lambda boxes, scores, *_: (scores + 1, scores > 0)
    )
    with pytest.raises(AssertionError):
        measure(Video("", arrays, with_plain=True), 1, None)


def test_table_leaves_out_what_was_not_measured() -> None:
    figures = VideoFigures("made up", 10, 2000, 0.02, 0.03, 31.0, None, 5_000_000)
    row = table([figures]).splitlines()[-1].split()
    assert row == ["made", "up", "10", "2000", "20.0", "30.0", "31.0x", "-", "5.0"]


def test_raw_video_is_sorted_inside_the_image_and_above_the_threshold() -> None:
    boxes, scores, times, classes = raw_video(5, 50, 30)
    assert (np.diff(times) >= 0).all()
    assert set(times) == set(range(5))
    assert set(classes) <= set(range(30))
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
    assert boxes.min() >= 0
    assert (boxes.max(axis=0) <= [1279, 719, 1279, 719]).all()
    assert ((scores > 1e-3) & (scores < 1)).all()
