"""The command line that exports a model, with a small random one."""

import json
import runpy
import sys
import textwrap
from glob import glob
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from fgfa.errors import InputError
from fgfa.export import Comparison

SCRIPT = Path(__file__).parents[2] / "scripts" / "export_model.py"
SIZE = (54, 81)
main = runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture
def command(tiny_cfg: CfgNode, tmp_path: Path) -> list[str]:
    """The options of an export to the folder "out"."""
    tiny_cfg.merge_from_list(["INPUT.MIN_SIZE_TEST", 64, "MODEL.FGFA.TEST_RADIUS", 1])
    torch.manual_seed(0)
    weights, config = tmp_path / "model.pth", tmp_path / "config.yaml"
    torch.save({"model": build_model(tiny_cfg).state_dict()}, weights)
    tiny_cfg.MODEL.WEIGHTS = str(weights)
    config.write_text(tiny_cfg.dump())
    sides = map(str, SIZE)
    return ["--config-file", str(config), "--output", str(tmp_path / "out"), "--size", *sides]


def write_frames(folder: Path, size: tuple[int, int] = SIZE) -> str:
    random = np.random.default_rng(0)
    for i in range(2):
        cv2.imwrite(str(folder / f"{i}.png"), random.integers(0, 256, (*size, 3), np.uint8))
    return str(folder / "*.png")


def run_example(out: Path, paths: list[str], capsys: pytest.CaptureFixture) -> list[str]:
    """What the example of the script's docstring prints, whose second indented block it is."""
    text = runpy.run_path(str(SCRIPT))["__doc__"].partition("imported:\n\n")[2]
    example = textwrap.dedent(text.partition("\n\nWhere")[0]).replace("exported/", f"{out}/")
    with torch.set_grad_enabled(True):  # put back behind it
        exec(example, {"paths": paths})
    return capsys.readouterr().out.splitlines()


def test_programs_are_written_and_checked(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    frames = write_frames(tmp_path)
    main([*command, "--images", frames])
    assert "torch: 2 frames, " in capsys.readouterr().out
    out = tmp_path / "out"
    lines = run_example(out, sorted(glob(frames)), capsys)
    assert [line[0] for line in lines if line[1:9] == " tensor("] == ["0", "1"]
    assert {path.name for path in out.iterdir()} == {"frame.pt2", "window.pt2", "export.json"}
    facts = json.loads((out / "export.json").read_text())
    height, width = facts["input_size"]
    assert (facts["frame_size"], facts["input_size"]) == ([54, 81], [64, 96])
    assert (facts["window"], facts["key"], facts["channel_order"]) == (3, 1, "RGB")
    assert facts["frame_inputs"] == [{"name": "image", "shape": [3, 64, 96], "type": "uint8"}]
    program = torch.export.load(out / "frame.pt2").module()
    kept = program(torch.zeros(3, height, width, dtype=torch.uint8))
    for described, tensor in zip(facts["frame_outputs"], kept, strict=True):
        assert described["shape"] == list(tensor.shape)
    shapes = [tensor["shape"] for tensor in facts["window_inputs"]]
    assert shapes == [[3, *tensor.shape] for tensor in kept]
    assert [tensor["shape"] for tensor in facts["window_outputs"]] == [["N", 4], ["N"], ["N"]]


def test_a_difference_ends_in_a_sentence(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_frame = Comparison.add_frame
    monkeypatch.setattr(
        Comparison,
        "add_frame",
        lambda self, kept, expected: add_frame(self, [2 * x for x in kept], expected),
    )
    with pytest.raises(InputError, match=r"the torch program in .*out differs from the model"):
        main(command)


@pytest.mark.slow
def test_onnx_detects_the_same(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    main([*command, "--formats", "onnx", "--images", write_frames(tmp_path)])
    assert "onnx: 2 frames, " in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"frame.onnx", "window.onnx", "export.json"}


def test_a_missing_package_is_named(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"package onnx\w*: `pip install 'fgfa\[export\]'`"):
        main([*command, "--formats", "onnx"])


def test_images_of_another_size_are_refused(command: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0\.png is of 50 x 81 pixels and --size says 54 x 81"):
        main([*command, "--images", write_frames(tmp_path, (50, 81))])


def test_a_single_frame_model_is_refused(command: list[str]) -> None:
    with pytest.raises(InputError, match="META_ARCHITECTURE is GeneralizedRCNN"):
        main([*command, "--opts", "MODEL.META_ARCHITECTURE", "GeneralizedRCNN"])
