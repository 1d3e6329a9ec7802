"""The commands and examples of README.md and docs/*.md work.

Blocks of a page are run from top to bottom in a folder of the page's own. Above a block that cannot
be run stands `<!-- not run: why -->`; its programs, options, configs and imports are checked.
"""

import argparse
import ast
import importlib.metadata
import os
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from detectron2 import modeling as d2
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa import add_fgfa_config, load_config, model_zoo
from fgfa.data import builtin
from fgfa.modeling import FLOW_NET_REGISTRY

ROOT = Path(__file__).parents[2]
# Its commands go on from each other; tests/docs/test_own_data.py runs them.
WITH_OWN_TEST = ROOT / "docs" / "own_data.md"
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("*.md")} - {WITH_OWN_TEST})]
REGISTRIES = (
    FLOW_NET_REGISTRY,
    d2.BACKBONE_REGISTRY,
    d2.ROI_BOX_HEAD_REGISTRY,
)
# Environment variables that commands may set.
VARIABLES = {"DETECTRON2_DATASETS", "FGFA_SHARED"}
MARK = re.compile(r"<!-- not run: (.+) -->")
# Stands for a path that readers fill in.
PLACEHOLDER = "..."


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its first line, language ("" for shell), text, and why it is not
    run, if so."""

    line: int
    language: str
    text: str
    not_run: str | None

    def commands(self) -> Iterator[list[str]]:
        """The words of each command of a shell block."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


class Parsed(BaseException):
    """Takes the place of what a program does when it has parsed its arguments."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args_of_program = args


def read_blocks(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    blocks, lines = [], text.splitlines()
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    for start, end in zip(fences[::2], fences[1::2], strict=True):
        mark = MARK.fullmatch(lines[start - 1]) if start else None
        inside = "\n".join(lines[start + 1 : end])
        blocks.append(Block(start + 2, lines[start][3:], inside, mark and mark[1]))
    return blocks


def default_cfg() -> CfgNode:
    cfg = get_cfg()
    add_fgfa_config(cfg)
    return cfg


def parse_as_program(script: str, argv: list[str], monkeypatch) -> argparse.Namespace:
    """What a program makes of its arguments; it ends there."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, args=None, namespace=None) -> None:
        raise Parsed(parse(parser, args, namespace))

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [script, *argv])
        with pytest.raises(Parsed) as caught:
            runpy.run_path(script, run_name="__main__")
    return caught.value.args_of_program


def check_program(script: str, argv: list[str], monkeypatch) -> None:
    """Checks a Python program's options, and the configs and data sets that they name."""
    assert (ROOT / script).is_file(), script
    try:
        args = parse_as_program(str(ROOT / script), argv, monkeypatch)
    except SystemExit:
        pytest.fail("the program refuses the options, see above")
    config_file = getattr(args, "config_file", None)
    opts = ["" if word == PLACEHOLDER else word for word in getattr(args, "opts", None) or []]
    if config_file in (None, "", PLACEHOLDER):
        default_cfg().merge_from_list(opts)
    else:
        check_weights(load_config(str(ROOT / config_file), opts))
    if dataset := getattr(args, "dataset", None):
        assert dataset in DatasetCatalog.list(), dataset


def check_weights(cfg: CfgNode) -> None:
    if cfg.MODEL.WEIGHTS.startswith(model_zoo.PREFIX):
        assert cfg.MODEL.WEIGHTS in model_zoo.names(), cfg.MODEL.WEIGHTS


def check_shell_script(script: str, argv: list[str]) -> None:
    """Checks that a shell script is there, and its options and tests."""
    assert os.access(ROOT / script, os.X_OK), script
    text = (ROOT / script).read_text("utf-8")
    for word in argv:
        assert not word.startswith("--") or word in text, word
        assert not word.startswith("tests/") or (ROOT / word).exists(), word


def check_pip(argv: list[str]) -> None:
    """Checks the extras of an installation of this repository."""
    extras = importlib.metadata.metadata("fgfa").get_all("Provides-Extra")
    for named in re.findall(r"^\.\[(.+)\]$", "\n".join(argv), re.MULTILINE):
        assert set(named.split(",")) <= set(extras), named


def check_command(words: list[str], monkeypatch) -> None:
    words, assigned = split_assignments(words)
    assert set(assigned) <= VARIABLES
    match words:
        case []:
            pass
        case ["python", script, *argv]:
            check_program(script, argv, monkeypatch)
        case ["pip", "install", *argv]:
            check_pip(argv)
        case [script, *argv] if script.endswith(".sh"):
            check_shell_script(script, argv)
        case _:
            pytest.fail("tests/docs/test_commands.py does not know how to check this command")


def split_assignments(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """A command without the `NAME=value` ahead of it, or in an `export`; and these."""
    words = words[1:] if words[:1] == ["export"] else words
    assigned = {}
    while words and re.match(r"[A-Z_0-9]+=", words[0]):
        name, value = words[0].split("=", 1)
        assigned[name], words = value, words[1:]
    return words, assigned


def check_imports(code: str) -> None:
    """Checks that what Python code imports of fgfa is there."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "fgfa":
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names)


def run_command(words: list[str], monkeypatch) -> None:
    words, assigned = split_assignments(words)
    for name, value in assigned.items():
        monkeypatch.setenv(name, value)
    match words:
        case []:
            pass
        case ["python", script, *argv]:
            with monkeypatch.context() as patch:
                patch.setattr(sys, "argv", [script, *argv])
                runpy.run_path(script, run_name="__main__")
        case _:
            pytest.fail("only Python programs are run; mark the block <!-- not run: why -->")


def register_builtin_again() -> None:
    for catalog in (DatasetCatalog, MetadataCatalog):
        for name in [name for name in catalog if name.startswith(("imagenet_", "vid_", "moving_"))]:
            catalog.pop(name)
    importlib.reload(builtin)


@pytest.fixture
def reader_folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """A reader's folder: the repository without data, and a place to write to."""
    for name in ("configs", "projects", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    with monkeypatch.context() as patch:
        patch.delenv("DETECTRON2_DATASETS", raising=False)
        patch.chdir(tmp_path)
        for registry in REGISTRIES:
            patch.setattr(registry, "_obj_map", dict(registry._obj_map))
        register_builtin_again()
        yield tmp_path
    register_builtin_again()


def go_through(text: str, monkeypatch) -> None:
    """Checks the blocks of a page and runs those that are not marked."""
    for block in read_blocks(text):
        print(f"line {block.line}:")
        if block.language == "python":
            check_imports(block.text)
            if not block.not_run:
                code = compile(block.text, f"from line {block.line}", "exec")
                exec(code, {"__name__": "__main__"})
        elif block.language == "":
            for words in block.commands():
                print("   ", *words)
                check_command(words, monkeypatch)
                if not block.not_run:
                    run_command(words, monkeypatch)
        elif block.language == "yaml":
            default_cfg().merge_from_other_cfg(CfgNode(yaml.safe_load(block.text)))
        else:
            assert block.language == "text"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_examples(page, reader_folder, monkeypatch):
    go_through(page.read_text("utf-8"), monkeypatch)


TRAIN = "python projects/FGFA/train_net.py --config-file configs/Base-RFCN.yaml"
EVALUATE = "python scripts/evaluate.py --predictions a"
FAULTY = {
    "no such program": "python scripts/nothing.py",
    "no such option": "python scripts/motion_iou.py --dataset vid_mini_val --output a.mat --fast",
    "an option is missing": "python scripts/motion_iou.py --dataset vid_mini_val",
    "no such choice": f"{EVALUATE} --dataset vid_mini_val --protocol voc",
    "no such data set": f"{EVALUATE} --dataset nothing",
    "no such config": "python projects/FGFA/train_net.py --config-file configs/nothing.yaml",
    "no such key": f"{TRAIN} MODEL.X 1",
    "no such value": f"{TRAIN} SEED x",
    "no such key of an unknown config": "python projects/FGFA/demo.py --webcam --config-file ... "
    "--opts MODEL.X 1",
    "no such checkpoint": f"{TRAIN} MODEL.WEIGHTS fgfa://nothing",
    "no such shell script": "scripts/nothing.sh",
    "no such option of a shell script": "scripts/quickstart.sh --nothing",
    "no such tests": "scripts/test.sh tests/nothing",
    "no such extra": 'pip install -e ".[nothing]"',
    "no such variable": "export NOTHING=1",
    "no such command": "nothing",
}


@pytest.mark.parametrize("command", FAULTY.values(), ids=FAULTY.keys())
def test_faulty_commands_are_found_where_they_are_not_run(command, reader_folder, monkeypatch):
    with pytest.raises((Exception, pytest.fail.Exception)):
        go_through(f"<!-- not run: why -->\n```\n{command}\n```", monkeypatch)


@pytest.mark.parametrize(
    "text",
    [
        "```\nscripts/test.sh\n```",  # neither run nor marked
        "```\npython scripts/motion_iou.py --dataset vid_mini_val --output a.mat\n```",  # no data
        "```python\nassert False\n```",
        "<!-- not run: why -->\n```python\nfrom fgfa import nothing\n```",
        "```yaml\nMODEL:\n  NOTHING: 1\n```",
        "```bash\nscripts/test.sh\n```",  # a language that nobody checks
    ],
)
def test_faulty_blocks_are_found(text, reader_folder, monkeypatch):
    with pytest.raises((Exception, SystemExit, pytest.fail.Exception)):
        go_through(text, monkeypatch)
