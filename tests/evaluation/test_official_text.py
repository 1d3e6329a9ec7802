import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.errors import InputError
from fgfa.evaluation import official_text
from fgfa.evaluation.official_text import read_text, rounded, write_exact_text, write_text
from fgfa.evaluation.records import Detections

_row = st.tuples(
    st.integers(1, 10**6),
    st.integers(0, 29),
    st.floats(0, 1, width=32),
    st.lists(st.floats(-100, 5000, width=32), min_size=4, max_size=4),
)


def _table(rows) -> Detections:
    ids, classes, scores, boxes = zip(*rows, strict=True) if rows else ([], [], [], [])
    return Detections(
        np.array(ids, np.int64),
        np.array(classes, np.int64),
        np.array(scores, np.float64),
        np.array(boxes, np.float64).reshape(-1, 4),
    )


@given(st.lists(_row, max_size=5))
def test_file_holds_the_rounded_detections(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("predictions") / "detections.txt"
    expected = rounded(_table(rows))
    write_text(path, _table(rows) if not rows else expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_text(path, 30)
    for name in ("image_ids", "classes", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(expected, name))


@given(st.lists(st.floats(-1e4, 1e4), min_size=5, max_size=5))
def test_exact_file_holds_all_digits(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("predictions") / "detections.txt"
    write_exact_text(path, _table([(7, 3, numbers[0], numbers[1:])]))
    read = read_text(path, 30)
    assert (read.image_ids.tolist(), read.classes.tolist()) == ([7], [3])
    assert [*read.scores, *read.boxes[0]] == numbers


def test_official_format(tmp_path: Path):
    path = tmp_path / "new" / "detections.txt"
    write_text(path, _table([(169, 21, 0.22041, [706.714, 265.61, -1.57, 303.0])]))
    assert path.read_text() == "169 22 0.2204 706.71 265.61 -1.57 303.00\n"


def test_blank_lines_are_skipped(tmp_path: Path):
    path = tmp_path / "detections.txt"
    path.write_text("1 1 0.5 0 0 9 9\n\n2 30 0.25 0 0 9 9\n")
    read = read_text(path, 30)
    assert read.image_ids.tolist() == [1, 2]
    assert read.classes.tolist() == [0, 29]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 1 0.5 0 0 9", "6 fields"),
        ("1 1 0.5 0 0 9 9 9", "8 fields"),
        ("1 1 x 0 0 9 9", "something that is not a number"),
        ("1 1 nan 0 0 9 9", "a number that is not finite"),
        ("1 1 0.5 0 0 inf 9", "a number that is not finite"),
        ("1.5 1 0.5 0 0 9 9", "not a whole number"),
        ("1 1.5 0.5 0 0 9 9", "not a whole number"),
        ("1 0 0.5 0 0 9 9", "an unknown class"),
        ("1 31 0.5 0 0 9 9", r"an unknown class, '1 31 0\.5 0 0 9 9'; .* a class of 1\.\.30"),
        ("# a comment", "something that is not a number"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line, problem):
    path = tmp_path / "detections.txt"
    path.write_text(f"1 1 0.5 0 0 9 9\n\n{line}\n1 1 0.5 0 0 9 9\n")
    with pytest.raises(
        InputError, match=rf"line 3 of .*detections\.txt is not a detection: it has .*{problem}"
    ):
        read_text(path, 30)


def test_all_lines_of_another_length(tmp_path: Path):
    path = tmp_path / "detections.txt"
    path.write_text("1 1 0.5\n" * 3)
    with pytest.raises(InputError, match="line 1 of"):
        read_text(path, 30)


def test_more_lines_than_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "detections.txt"
    monkeypatch.setattr(official_text, "_CHUNK", 2)
    write_text(path, _table([(frame, 1, 0.5, [0, 0, 9, 9]) for frame in range(1, 6)]))
    assert read_text(path, 30).image_ids.tolist() == [1, 2, 3, 4, 5]
