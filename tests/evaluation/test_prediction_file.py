import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.errors import InputError
from fgfa.evaluation.prediction_file import read_predictions, rounded, write_predictions
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
    write_predictions(path, _table(rows) if not rows else expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_predictions(path, 30)
    for name in ("image_ids", "classes", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(expected, name))


def test_official_format(tmp_path: Path):
    path = tmp_path / "new" / "detections.txt"
    write_predictions(path, _table([(169, 21, 0.22041, [706.714, 265.61, -1.57, 303.0])]))
    assert path.read_text() == "169 22 0.2204 706.71 265.61 -1.57 303.00\n"


def test_blank_lines_are_skipped(tmp_path: Path):
    path = tmp_path / "detections.txt"
    path.write_text("1 1 0.5 0 0 9 9\n\n2 30 0.25 0 0 9 9\n")
    read = read_predictions(path, 30)
    assert read.image_ids.tolist() == [1, 2]
    assert read.classes.tolist() == [0, 29]


@pytest.mark.parametrize(
    "line",
    [
        "1 1 0.5 0 0 9",
        "1 1 0.5 0 0 9 9 9",
        "1 1 x 0 0 9 9",
        "1 1 nan 0 0 9 9",
        "1.5 1 0.5 0 0 9 9",
        "1 1.5 0.5 0 0 9 9",
        "1 0 0.5 0 0 9 9",
        "1 31 0.5 0 0 9 9",
        "# a comment",
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line):
    path = tmp_path / "detections.txt"
    path.write_text(f"1 1 0.5 0 0 9 9\n\n{line}\n1 1 0.5 0 0 9 9\n")
    with pytest.raises(InputError, match=r"line 3 of .*detections\.txt is not a detection"):
        read_predictions(path, 30)


def test_all_lines_of_another_length(tmp_path: Path):
    path = tmp_path / "detections.txt"
    path.write_text("1 1 0.5\n" * 3)
    with pytest.raises(InputError, match="line 1 of"):
        read_predictions(path, 30)


def test_missing_and_binary_files(tmp_path: Path):
    with pytest.raises(InputError, match="cannot open the predictions"):
        read_predictions(tmp_path / "detections.txt", 30)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="binary"):
        read_predictions(tmp_path / "binary", 30)
