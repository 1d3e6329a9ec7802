import numpy as np
import pytest

from fgfa.evaluation.analysis import Analysis, analyze
from fgfa.evaluation.analysis_tables import (
    class_table,
    error_table,
    size_table,
    summary_table,
    tables_of,
)
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.records import Detections

BOX = [0.0, 0, 99, 99]


@pytest.fixture
def models(make_frames) -> list[Analysis]:
    """Two models on two videos of a cat that stays: one finds both, the other the second one."""
    dicts = make_frames([[(BOX, 0, 0)]], "first") + make_frames([[(BOX, 0, 0)]], "second", 2)
    protocol = MsraProtocol(dicts, ["cat", "dog"])

    def of(name, *image_ids):
        n = len(image_ids)
        found = Detections(
            np.array(image_ids), np.zeros(n, int), np.full(n, 0.5), np.array([BOX] * n)
        )
        return analyze(name, found, protocol, np.array([0, 1]), np.array([[2, 0], [0, 2]] * 50))

    return [of("full", 1, 2), of("half", 2)]


def test_summary_with_intervals_and_gains(models):
    table = summary_table(models)
    assert table.head == ["AP50", "all", "slow", "medium", "fast"]
    assert table.rows == [
        ["full", "100.0 [100.0, 100.0]", "100.0 [100.0, 100.0]", "–", "–"],
        ["half", "50.0 [0.0, 100.0]", "50.0 [0.0, 100.0]", "–", "–"],
        ["half − full", "-50.0 [-100.0, +0.0]", "-50.0 [-100.0, +0.0]", "–", "–"],
    ]


def test_models_stand_below_each_other_by_motion(models):
    rows = size_table(models).rows
    assert rows[0] == ["all: full", "100.0", "–", "100.0", "–"]
    assert [row[0] for row in rows[1:4]] == ["all: half", "slow: full", "slow: half"]
    assert [row[0] for row in size_table(models[:1]).rows] == ["all", "slow", "medium", "fast"]


def test_errors_per_100_boxes(models):
    rows = error_table(models[1:]).rows
    assert rows[0] == ["all", "2", "50.0", "0.0", "0.0", "0.0", "0.0", "50.0"]
    assert rows[3] == ["fast", "0", "–", "–", "–", "–", "–", "–"]


def test_classes_that_have_boxes(models):
    table = class_table(models)
    assert table.head == ["class", "boxes", "full", "half"]
    assert table.rows == [["cat", "2", "100.0 [100.0, 100.0]", "50.0 [0.0, 100.0]"]]
    assert class_table(models[1:]).rows == [["cat", "2", "50.0 [0.0, 100.0]", "50.0", "–", "–"]]


def test_text(models):
    text = "\n".join(map(str, tables_of(models)))
    assert "| half − full |" in text
    assert "cat" in text and "per 100 boxes" in text and "by area" in text
    assert "| mean |" in str(tables_of(models[:1])[0])
