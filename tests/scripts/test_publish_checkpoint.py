"""The command line that makes a trained checkpoint one that comes with fgfa, on a random model."""

import json
import re
import runpy
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from fgfa import model_zoo
from fgfa.checkpoint import FGFACheckpointer
from fgfa.errors import InputError

SCRIPT = Path(__file__).parents[2] / "scripts" / "publish_checkpoint.py"
NAME = "fgfa://group/tiny"
RESULTS = {
    "bbox": {"AP50": 36.04, "AP50-slow": 40.0, "AP50-medium": 31.25, "AP50-fast": None},
    "AP50_interval": {"AP50": [30.0, 42.0], "AP50-slow": [35.5, 45.0]},
}
main = runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture
def trained(tiny_cfg: CfgNode, tmp_path: Path) -> Path:
    """A checkpoint as a training leaves it."""
    model = build_model(tiny_cfg)
    optimizer = torch.optim.AdamW(model.parameters())
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    checkpointer = FGFACheckpointer(model, tiny_cfg, str(tmp_path), optimizer=optimizer)
    checkpointer.save("trained", iteration=7)
    return tmp_path / "trained.pth"


@pytest.fixture
def command(trained: Path, tiny_cfg: CfgNode, tmp_path: Path) -> list[str]:
    """The command line that publishes it in the folder "published"."""
    config = tmp_path / "tiny.yaml"
    config.write_text(tiny_cfg.dump())
    published = str(tmp_path / "published")
    return [str(trained), NAME, "--config-file", str(config), "--folder", published]


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["model"]


def change(path: Path, name: str, value: torch.Tensor) -> None:
    """Replaces a weight of a checkpoint."""
    torch.save({"model": weights_of(path) | {name: value}}, path)


def card_of(tmp_path: Path) -> str:
    return (tmp_path / "published" / "group" / "tiny.md").read_text()


def test_published_file_has_the_weights_alone_in_half_precision(
    command: list[str], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    main(command)
    published = tmp_path / "published" / "group" / "tiny.pth"
    assert list(torch.load(published, weights_only=True)) == ["model"]
    before, after = weights_of(trained), weights_of(published)
    assert list(after) == list(before)
    for name, value in before.items():
        half = value.half() if value.is_floating_point() else value
        assert torch.equal(after[name], half) and after[name].dtype == half.dtype, name
    assert published.stat().st_size < trained.stat().st_size / 5
    assert sorted(path.name for path in published.parent.iterdir()) == ["tiny.md", "tiny.pth"]
    error = float(re.search(r"at most (\S+) of", capsys.readouterr().out)[1])
    assert 2**-13 < error <= 2**-11


def test_published_name_is_loaded(
    command: list[str], tiny_cfg: CfgNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(command)
    monkeypatch.setattr(model_zoo, "FOLDER", tmp_path / "published")
    model = build_model(tiny_cfg)
    FGFACheckpointer(model, tiny_cfg).load(NAME)
    halves = weights_of(tmp_path / "published" / "group" / "tiny.pth")
    for name, value in model.state_dict().items():
        assert torch.equal(value, halves[name].to(value.dtype)), name


def test_same_weights_give_the_same_file(command: list[str], trained: Path, tmp_path: Path) -> None:
    published = tmp_path / "published" / "group" / "tiny.pth"
    main(command)
    first = published.read_bytes()
    renamed = trained.rename(tmp_path / "renamed.pth")
    command[0], command[1] = str(renamed), "fgfa://group/again"
    main(command)
    assert published.with_stem("again").read_bytes() == first


def test_card_tells_config_data_commands_and_results(command: list[str], tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text(json.dumps(RESULTS))
    trainings = ["python pretrain.py --width 1", "python train.py"]
    main([*command, "--results", str(results), *(f"--command={text}" for text in trainings)])
    card = card_of(tmp_path)
    assert card.startswith(f"# {NAME}\n")
    assert "\n".join(["```", *trainings, "```"]) in card
    assert f"| {NAME} | 36.0 (30.0, 42.0) | 40.0 (35.5, 45.0) | 31.2 | - |" in card
    for text in (
        f"| config | `{tmp_path / 'tiny.yaml'}` |",
        "5 classes in videos, each frame from the 5 frames around it",
        "FlowNetS of width 0.05",
        "1,000 training frames of ImageNet VID",
        "Research use only",
        "## Intended use and limits",
        f"--opts MODEL.WEIGHTS {NAME}",
    ):
        assert text in card


def test_card_has_a_row_for_each_model_and_gain(command: list[str], tmp_path: Path) -> None:
    gains = {f"AP50{motion}": [2.0, -1.0, 5.0] for motion in ("", "-slow", "-medium", "-fast")}
    both = {"models": {"R-FCN": RESULTS, "FGFA": RESULTS}, "gains": {"FGFA": gains}}
    results = tmp_path / "results.json"
    results.write_text(json.dumps(both))
    main([*command, "--results", str(results)])
    rows = [line for line in card_of(tmp_path).splitlines() if "FGFA" in line and "2.0" in line]
    assert rows == [
        "| FGFA | 36.0 (30.0, 42.0) | 40.0 (35.5, 45.0) | 31.2 | - |",
        "| FGFA - R-FCN " + "| +2.0 (-1.0, +5.0) " * 4 + "|",
    ]


def test_card_without_results_has_no_such_section(command: list[str], tmp_path: Path) -> None:
    main([*command, "--data", "Drawn shapes."])
    assert "Drawn shapes." in card_of(tmp_path)
    assert "## Results" not in card_of(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])
def test_values_that_half_precision_does_not_have_are_refused(
    value: float, command: list[str], trained: Path, tmp_path: Path
) -> None:
    name = "embedding.0.weight"
    weight = weights_of(trained)[name]
    weight.view(-1)[3] = value
    change(trained, name, weight)
    with pytest.raises(InputError, match=r"^embedding\.0\.weight has values that are"):
        main(command)
    assert not (tmp_path / "published").exists()


def test_file_above_the_limit_is_refused(command: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"would have [1-9]\S* MB, above the 0\.5 MB of --max-mb"):
        main([*command, "--max-mb", "0.5"])
    assert not (tmp_path / "published").exists()


def test_checkpoint_of_another_model_is_refused(command: list[str], trained: Path) -> None:
    change(trained, "embedding.0.weight", torch.zeros(1, 1, 1, 1))
    with pytest.raises(InputError, match=r"embedding\.0\.weight has shape \(1, 1, 1, 1\) where"):
        main(command)


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"models": {}}'])
def test_other_files_are_no_results(text: str, command: list[str], tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text(text)
    with pytest.raises(InputError, match=r"results\.json (cannot be read|has no models).*evaluate"):
        main([*command, "--results", str(results)])


@pytest.mark.parametrize("name", ["group/tiny", "fgfa://", "fgfa://../tiny", "fgfa://a//b"])
def test_name_is_checked(name: str, command: list[str], capsys: pytest.CaptureFixture) -> None:
    command[1] = name
    with pytest.raises(SystemExit):
        main(command)
    assert f"not {name}" in capsys.readouterr().err
