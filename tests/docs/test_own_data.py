"""docs/own_data.md: every command on the page, run in its order on tiny videos."""

import json
import logging
import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import default_argument_parser

from fgfa.data.datasets_file import register_datasets_file

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "own_data.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRAIN_NET, DEMO = "projects/FGFA/train_net.py", "projects/FGFA/demo.py"
SMALL_MODEL = [
    *("INPUT.MIN_SIZE_TRAIN", "(64,)", "INPUT.MIN_SIZE_TEST", "64", "SOLVER.MAX_ITER", "1"),
    *("SOLVER.IMS_PER_BATCH", "1", "DATALOADER.NUM_WORKERS", "0", "MODEL.FGFA.TEST_RADIUS", "1"),
    *("MODEL.RPN.POST_NMS_TOPK_TEST", "20", "MODEL.DEVICE", "cpu"),
]
# What makes a command fast, behind its own arguments.
TINY = {
    "scripts/make_moving_shapes.py": shlex.split(
        "--train-videos 2 --val-videos 1 --frames 4 --size 64 96"  # as `own_videos` has them
    ),
    TRAIN_NET: SMALL_MODEL,
}


def run(command: str) -> None:
    """Runs a command of the page in this process, from the current folder."""
    python, script, *words = shlex.split(command)
    assert python == "python", command
    arguments = [path for word in words for path in (sorted(glob(word)) or [word])]
    arguments += TINY.get(script, [])
    program = runpy.run_path(str(ROOT / script))
    if script == TRAIN_NET:
        program["main"](default_argument_parser().parse_args(arguments))
    else:
        status = program["main"](arguments)
        assert not (isinstance(status, int) and status), command


def register(text: str) -> None:
    path = Path("datasets/datasets.yaml")
    path.write_text(text)
    register_datasets_file(path)


def steps() -> Iterator[tuple[Callable[[str], None], str]]:
    """What a reader of the page does, in order: commands to run, and data sets to name."""
    for language, block in BLOCK.findall(PAGE.read_text()):
        if language == "yaml":
            yield register, block
        elif block.startswith("python "):
            for command in block.replace("\\\n", " ").splitlines():
                yield run, command


@pytest.fixture
def in_users_folder(own_videos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the programs and `datasets/mine`, as the page has it."""
    mine = own_videos / "datasets" / "mine"
    mine.mkdir()
    for name in ("clips", "labels", "sequences"):
        (own_videos / name).rename(mine / name)
    for name in ("configs", "projects", "scripts"):
        (own_videos / name).symlink_to(ROOT / name)
    monkeypatch.chdir(own_videos)
    names, loggers = set(DatasetCatalog), [logging.getLogger(n) for n in ("fgfa", "detectron2")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield own_videos
    for name in set(DatasetCatalog) - names:
        DatasetCatalog.pop(name)
        MetadataCatalog.pop(name)
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


def test_every_command_of_the_page(in_users_folder: Path, capsys):
    for do, text in steps():
        do(text)
    output = in_users_folder / "output" / "mine"
    results = json.loads((output / "results.json").read_text())["bbox"]
    assert {"AP50", "AP50-slow", "AP50-medium", "AP50-fast", "AP50-star"} <= set(results)
    assert (output / "detected.mp4").stat().st_size > 0
    assert "speed of objects by motion IoU" in capsys.readouterr().out


def test_annotations_in_all_formats_are_the_same(in_users_folder: Path):
    """The page's CVAT, MOT and VOC commands start from one data set, and end in one."""
    for do, text in steps():
        if do is run and "convert_annotations.py" in text:
            do(text)
    found = []
    for name in ("train", "mot_train", "voc_train"):
        content = json.loads(Path(f"datasets/mine/{name}.json").read_text())
        names = {category["id"]: category["name"] for category in content["categories"]}
        found.append(
            sorted(
                (box["image_id"], names[box["category_id"]], box["instance_id"], *box["bbox"])
                for box in content["annotations"]
            )
        )
    cvat, mot, voc = found
    assert len(cvat) > 8
    assert cvat == mot == voc
