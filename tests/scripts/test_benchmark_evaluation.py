import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark import main
from benchmarking.evaluation_workload import ALL_FRAMES, NUM_CLASSES, make_workload
from fgfa.evaluation.average_precision import average_precision


def test_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "evaluation.json"
    main(["evaluation", "--frames=300", "--per-frame", "2", "6", "--output", str(output)])
    lines = capsys.readouterr().out.splitlines()
    report = json.loads(output.read_text())
    cases = [(c["per_frame"], c["detections"], c["source"]) for c in report["cases"]]
    assert cases == [(n, 300 * n, source) for n in (2, 6) for source in ("memory", "text")]
    assert [line.split()[1:6:2] for line in lines[2:]] == [
        [str(n), f"{d:,}", s] for n, d, s in cases
    ]
    assert all(case["seconds"] > 0 < case["cpu_seconds"] for case in report["cases"])
    if sys.platform.startswith("linux"):
        # Detections from memory are part of what is held: 7 numbers of 8 bytes each.
        assert report["cases"][2]["peak_bytes"] >= 1800 * 56


def test_numbers_of_the_official_set() -> None:
    truth = make_workload(ALL_FRAMES, 0).ground_truth
    assert len(truth.counts) == 176_126
    assert truth.counts.sum() == len(truth.boxes) == 273_505
    assert (truth.counts == 0).sum() == 4046


def test_workload_finds_some_boxes_and_is_the_same_each_time() -> None:
    work = make_workload(2000, 20)
    ap = average_precision(work.ground_truth, work.detections, NUM_CLASSES)
    assert 0.1 < np.nanmean(ap) < 0.9
    again = make_workload(2000, 20).detections
    np.testing.assert_array_equal(work.detections.boxes, again.boxes)
    assert (work.detections.boxes[:, 2:] >= work.detections.boxes[:, :2]).all()
    assert len(np.unique(work.detections.scores)) < len(work.detections) / 2
