import json
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode

from benchmark import main
from benchmarking.training import BACKWARD, OPTIMIZER, STEP, TrainingStep


def test_prints_a_table_and_writes_json(
    tiny_cfg: CfgNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(
        "benchmarking.training.in_new_process", lambda function, *args: function(*args)
    )
    config, output = tmp_path / "tiny.yaml", tmp_path / "training.json"
    config.write_text(tiny_cfg.dump())
    arguments = ("--config-file", str(config), "--size", "64", "96", "--threads=1", "--repeat=2")
    parts = ("--checkpointed", "backbone", "--output", str(output))
    main(["training", *arguments, "--batch", "2", *parts])
    printed = capsys.readouterr().out
    assert "tiny, 2 x 64 x 96, 1 threads" in printed
    cases = json.loads(output.read_text())["cases"]
    assert list(cases) == ["kept", "computed again"]
    for case in cases.values():
        seconds = case["seconds"]
        assert {len(runs) for runs in seconds.values()} == {2}
        assert all(name in printed for name in seconds)
        whole = seconds.pop(STEP)
        assert {"backbone", "RPN", BACKWARD, OPTIMIZER} < set(seconds)
        assert [sum(run) for run in zip(*seconds.values(), strict=True)] == pytest.approx(whole)
    assert printed.splitlines()[-1].split()[0] == "MB"


def test_a_step_changes_the_weights(tiny_cfg: CfgNode) -> None:
    step = TrainingStep(tiny_cfg, (64, 96), batch=1)
    before = [parameter.detach().clone() for parameter in step.parameters()]
    step.run()
    changed = [
        not torch.equal(old, new) for old, new in zip(before, step.parameters(), strict=True)
    ]
    assert any(changed)
