"""Trainings that are killed or ended from outside, as programs of their own."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode

from fgfa.data.moving_shapes import write_moving_shapes

TRAIN_NET = Path(__file__).parents[1] / "projects" / "FGFA" / "train_net.py"
FINAL = "model_final.pth"


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_moving_shapes(root, train_videos=2, val_videos=0, frames=4, size=(64, 96))
    return root


@pytest.fixture
def config_file(tiny_cfg: CfgNode, tmp_path: Path) -> Path:
    tiny_cfg.merge_from_list(
        [
            *("DATASETS.TRAIN", ("moving_shapes_train",), "DATASETS.TEST", (), "SEED", 1),
            *("DATALOADER.NUM_WORKERS", 1, "SOLVER.IMS_PER_BATCH", 2, "SOLVER.MAX_ITER", 12),
            *("SOLVER.CHECKPOINT_PERIOD", 1, "INPUT.MIN_SIZE_TRAIN", (64,)),
        ]
    )
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_cfg.dump())
    return path


def start(config_file: Path, datasets: Path, out: Path, *options: str) -> subprocess.Popen:
    """Begins or resumes a training, in a process group of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, TRAIN_NET, "--resume", "--config-file", config_file),
            *("OUTPUT_DIR", str(out), *options),
        ],
        env={**os.environ, "DETECTRON2_DATASETS": str(datasets)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def weights(out: Path) -> dict[str, torch.Tensor]:
    return torch.load(out / FINAL, weights_only=False)["model"]


def assert_same_weights(out: Path, expected: dict[str, torch.Tensor]) -> None:
    found = weights(out)
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_killed_training_ends_as_if_it_had_not_been(
    config_file: Path, datasets: Path, tmp_path: Path, request: pytest.FixtureRequest
):
    kills = request.config.getoption("--kills")
    began = time.monotonic()
    process = start(config_file, datasets, tmp_path / "whole")
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    seconds = time.monotonic() - began
    expected = weights(tmp_path / "whole")
    moments, killed, rounds = random.Random(kills), 0, 0
    while killed < kills:
        out, rounds = tmp_path / f"killed{rounds}", rounds + 1
        while not (out / FINAL).exists():
            process = start(config_file, datasets, out)
            try:
                # Before the first step as well as behind the last. The machine may have become
                # slower, so that none would be late enough for ever.
                patience = moments.uniform(0.7, 1.1) * seconds if killed < kills else 300
                printed, _ = process.communicate(timeout=patience)
                assert process.returncode == 0, printed
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                killed += 1
            for checkpoint in out.glob("[!.]*.pth"):
                torch.load(checkpoint, weights_only=False)
        assert not list(out.glob(".*.part*"))
        # A kill behind the last checkpoint leaves nothing to do.
        assert_same_weights(out, expected)
        shutil.rmtree(out)  # a gigabyte of checkpoints


@pytest.mark.slow
def test_signal_to_all_processes_saves_and_ends(config_file: Path, datasets: Path, tmp_path: Path):
    options = ("SOLVER.MAX_ITER", "100000", "SOLVER.CHECKPOINT_PERIOD", "100000")
    process = start(config_file, datasets, tmp_path / "out", *options)
    for line in process.stdout:
        if "Starting training" in line:
            break
    time.sleep(1)  # some steps
    os.killpg(process.pid, signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "Ended by SIGTERM behind iteration" in printed
    assert "Traceback" not in printed
    (checkpoint,) = (tmp_path / "out").glob("*.pth")
    assert (tmp_path / "out" / "last_checkpoint").read_text() == checkpoint.name
    assert torch.load(checkpoint, weights_only=False)["iteration"] >= 0
