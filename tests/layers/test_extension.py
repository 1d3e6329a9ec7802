"""Tests of how the compiled module is found, missed, and refused a build."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fgfa.layers import extension

ROOT = Path(__file__).parents[2]

WITHOUT_EXTENSION = """
import sys, warnings
sys.modules["fgfa._C"] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch, fgfa.layers
    from fgfa.layers import aggregate, flow_warp, has_extension, ps_roi_pool
    feature, flow = torch.rand(2, 4, 5, 6), torch.zeros(2, 2, 5, 6)
    assert not has_extension() and not has_extension("cuda")
    assert torch.equal(flow_warp(feature, flow), feature)
    assert aggregate(feature, feature, flow, feature[:1]).shape == (1, 4, 5, 6)
    assert ps_roi_pool(feature, torch.zeros(3, 5), 2, 1 / 16).shape == (3, 1, 2, 2)
print(sum("compiled operators" in str(warning.message) for warning in caught))
"""


def test_twins_take_over_with_one_warning_where_nothing_is_built() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTENSION], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "1"), run.stderr


@pytest.mark.parametrize(
    ("with_cuda", "gpu", "devices", "warned"),
    [(1, True, {"cpu", "cuda"}, 0), (0, True, {"cpu"}, 1), (0, False, {"cpu"}, 0)],
)
def test_a_gpu_without_kernels_is_told_of(
    monkeypatch: pytest.MonkeyPatch, with_cuda: int, gpu: bool, devices: set[str], warned: int
) -> None:
    monkeypatch.setitem(sys.modules, "fgfa._C", SimpleNamespace(WITH_CUDA=with_cuda))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert extension._load() == devices
    assert len(caught) == warned


def run_setup(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "--name"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_setup_leaves_the_extension_out_on_request() -> None:
    run = run_setup(FGFA_NO_EXTENSION="1", FORCE_CUDA="0")
    assert run.returncode == 0, run.stderr
    assert "without compiled operators: FGFA_NO_EXTENSION=1 is set" in run.stderr


def test_setup_without_a_compiler_says_so() -> None:
    run = run_setup(CXX="no-such-compiler", FORCE_CUDA="0", FGFA_NO_EXTENSION="0")
    assert run.returncode == 0, run.stderr
    assert "there is no C++ compiler (no-such-compiler)" in run.stderr


def test_setup_fails_where_cuda_is_asked_for_and_missing(tmp_path: Path) -> None:
    run = run_setup(FORCE_CUDA="1", CUDA_HOME=str(tmp_path), FGFA_NO_EXTENSION="0")
    assert run.returncode != 0
    assert "FORCE_CUDA=1, but" in run.stderr
    assert "Traceback" not in run.stderr
