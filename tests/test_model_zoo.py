"""Checkpoints by name: where a name is taken, names that are unknown, files that are damaged."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.utils.file_io import PathManager

from fgfa import load_config, model_zoo
from fgfa.checkpoint import FGFACheckpointer
from fgfa.errors import InputError
from fgfa.video_batch.settings import settings_of

ROOT = Path(__file__).parents[1]
NAME = "fgfa://group/tiny"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where checkpoints are looked for; empty."""
    monkeypatch.setattr(model_zoo, "FOLDER", tmp_path / "checkpoints")
    (tmp_path / "checkpoints" / "group").mkdir(parents=True)
    return tmp_path / "checkpoints"


@pytest.fixture
def shipped(folder: Path, tiny_cfg: CfgNode) -> Path:
    """The half-precision weights of a random model, shipped by NAME."""
    path = folder / "group" / "tiny.pth"
    state = build_model(tiny_cfg).state_dict()
    torch.save({"model": {key: value.half() for key, value in state.items()}}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".md").write_text(f"# A card\n\n| SHA-256 | `{digest}` |\n")
    return path


def test_name_is_loaded_into_a_model_of_single_precision(shipped: Path, tiny_cfg: CfgNode) -> None:
    model = build_model(tiny_cfg)
    FGFACheckpointer(model, tiny_cfg).load(NAME)
    for key, value in torch.load(shipped, weights_only=True)["model"].items():
        loaded = model.state_dict()[key]
        assert torch.equal(loaded, value.to(loaded.dtype)), key
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_name_gives_the_flow_network_alone(shipped: Path, tiny_cfg: CfgNode) -> None:
    tiny_cfg.MODEL.FLOW_NET.WEIGHTS = NAME
    model = build_model(tiny_cfg)
    embedding = model.embedding.state_dict()["0.weight"].clone()
    FGFACheckpointer(model, tiny_cfg).load("")
    weights = torch.load(shipped, weights_only=True)["model"]
    for key, value in model.flow_net.state_dict().items():
        assert torch.equal(value, weights[f"flow_net.{key}"].float()), key
    assert torch.equal(model.embedding.state_dict()["0.weight"], embedding)


def test_name_is_a_path_to_everything_that_reads_files(shipped: Path, tiny_cfg: CfgNode) -> None:
    assert PathManager.isfile(NAME)
    assert not PathManager.isfile("fgfa://group/none")
    assert PathManager.get_local_path(NAME) == str(shipped)
    with PathManager.open(NAME, "rb") as file:
        assert file.read() == shipped.read_bytes()
    tiny_cfg.MODEL.WEIGHTS = NAME
    digest = hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert settings_of(tiny_cfg, [])["MODEL.WEIGHTS"] == digest


@pytest.mark.parametrize("name", ["fgfa://group/none", "fgfa://../group/tiny"])
def test_unknown_name_is_answered_with_the_known_ones(
    name: str, shipped: Path, tiny_cfg: CfgNode
) -> None:
    with pytest.raises(InputError, match=f"{name} is unknown; .*: {NAME}$"):
        FGFACheckpointer(build_model(tiny_cfg), tiny_cfg).load(name)


def test_no_checkpoint_at_all_is_said(folder: Path) -> None:
    assert model_zoo.names() == []
    with pytest.raises(InputError, match=r"are: none$"):
        model_zoo.find_checkpoint(NAME)


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", None])
def test_file_of_another_sha256_is_damaged(content: bytes | None, shipped: Path) -> None:
    shipped.write_bytes(content or shipped.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"tiny is damaged: the SHA-256 .*tiny\.pth .*git lfs"):
        model_zoo.find_checkpoint(NAME)


@pytest.mark.parametrize("text", [None, "no number"])
def test_card_without_a_sha256_is_an_error(text: str | None, shipped: Path) -> None:
    card = shipped.with_suffix(".md")
    card.unlink() if text is None else card.write_text(text)
    with pytest.raises(InputError, match=r"tiny\.md, which states the SHA-256 of tiny\.pth, is"):
        model_zoo.find_checkpoint(NAME)


def test_every_shipped_checkpoint_is_whole() -> None:
    for name in model_zoo.names():
        assert model_zoo.find_checkpoint(name).stat().st_size <= 25e6


def test_installed_package_has_the_checkpoints(tmp_path: Path) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    package = tmp_path / "projects" / "FGFA" / "fgfa"
    (package / "checkpoints" / "group").mkdir(parents=True)
    for name in ("__init__.py", "checkpoints/group/tiny.pth", "checkpoints/group/tiny.md"):
        (package / name).touch()
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", "built"],
        cwd=tmp_path,
        env=os.environ | {"FGFA_NO_EXTENSION": "1"},
        check=True,
        capture_output=True,
    )
    files = {path.name for path in (tmp_path / "built" / "fgfa").rglob("*.*")}
    assert files == {"__init__.py", "tiny.pth", "tiny.md"}


def test_checkpoints_of_the_package_fit_their_configs() -> None:
    for name in model_zoo.names():
        path = model_zoo.find_checkpoint(name)
        config = re.search(r"configs/\S+\.yaml", path.with_suffix(".md").read_text())[0]
        cfg = load_config(str(ROOT / config), ["MODEL.EFFICIENTNET_LITE.PRETRAINED", False])
        model = build_model(cfg)
        FGFACheckpointer(model, cfg).load(name)
        weights = torch.load(path, weights_only=True)["model"]
        assert weights.keys() == model.state_dict().keys()
        for key, value in model.state_dict().items():
            assert torch.equal(value.cpu(), weights[key].to(value.dtype)), key
