import numpy as np
import pytest

from fgfa.evaluation.motion_table import MotionTable, results_of

NAN = float("nan")
AP = np.array([[50.0, 100.0, NAN], [NAN, 100.0, NAN], [NAN, NAN, NAN], [20.0, NAN, NAN]])
TABLE = MotionTable("AP50", AP, ["cat", "dog", "fox"])


def test_mean_over_the_classes_present():
    assert TABLE.means() == pytest.approx([75, 100, NAN, 20], nan_ok=True)


def test_names():
    expected = {
        "AP50": 75,
        "AP50-slow": 100,
        "AP50-medium": NAN,
        "AP50-fast": 20,
        "AP50-cat": 50,
        "AP50-dog": 100,
        "AP50-fox": NAN,
    }
    assert dict(TABLE.results()) == pytest.approx(expected, nan_ok=True)


def test_tables_share_one_task():
    results = results_of([TABLE, MotionTable("AP", AP, TABLE.class_names)])
    assert list(results) == ["bbox"]
    assert len(results["bbox"]) == 14


def test_text_leaves_absent_classes_out():
    text = str(TABLE)
    assert "dog" in text and "fox" not in text
