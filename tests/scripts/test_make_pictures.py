"""The script that makes the README's pictures."""

import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from fgfa.errors import InputError
from fgfa.modeling import Explanation

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "make_pictures.py"))
SIZE = (64, 96)
LENGTH = 6


def make_instances(scores: list[float]) -> Instances:
    instances = Instances(SIZE)
    instances.pred_boxes = Boxes(torch.tensor([[20.0, 20, 60, 50]] * len(scores)).reshape(-1, 4))
    instances.pred_classes = torch.arange(len(scores))
    instances.scores = torch.tensor(scores)
    return instances


class FakePredictor:
    """Finds an object in each frame; in frames 2 and 4 not without the others; 4 moves more."""

    def __init__(self, cfg: object) -> None:
        pass

    def explain(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[int, Instances, Explanation]]:
        count = len(list(frames))
        for index in range(count):
            window = [min(max(index + offset, 0), count - 1) for offset in (-1, 0, 1)]
            flow = torch.full((3, 2, 4, 6), float(index))
            weights = torch.full((3, 4, 6), 1 / 3)
            alone = make_instances([0.2] if index in (2, 4) else [0.9])
            yield index, make_instances([0.9]), Explanation(window, 1, flow, weights, alone)


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setitem(SCRIPT["main"].__globals__, "VideoPredictor", FakePredictor)
    for index in range(LENGTH):
        noise = np.random.default_rng(index).integers(0, 256, (*SIZE, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), noise)
    config = ROOT / "configs" / "moving_shapes" / "fgfa.yaml"
    frames, output = str(tmp_path / "*.png"), str(tmp_path / "out")
    return ["--config-file", str(config), "--input", frames, "--output", output]


def test_four_pictures_that_a_readme_can_carry(arguments: list[str], tmp_path: Path):
    SCRIPT["main"](arguments)
    paths = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in paths] == ["compare.jpg", "flow.jpg", "tracks.jpg", "weights.jpg"]
    for path in paths:
        assert path.stat().st_size <= 150_000
        assert 1000 <= cv2.imread(str(path)).shape[1] <= 1200


@pytest.mark.parametrize(
    ("more", "key"), [([], 4), (["--frame", "1"], 1), (["--end", "4"], 2), (["--start", "1"], 5)]
)
def test_key_frame(more: list[str], key: int, arguments: list[str], capsys):
    SCRIPT["main"](arguments + more)
    assert f"Key frame {key}:" in capsys.readouterr().out


def test_frame_that_is_not_read_is_named(arguments: list[str]):
    with pytest.raises(InputError, match=r"frame 9 is not among 3\.\.5"):
        SCRIPT["main"]([*arguments, "--start", "3", "--frame", "9"])


def test_comparison_shows_what_the_frame_alone_misses(arguments: list[str], tmp_path: Path):
    SCRIPT["main"](arguments)
    aggregated = cv2.imread(str(tmp_path / "out" / "compare.jpg"))[:, 554:].astype(int)
    alone = cv2.imread(str(tmp_path / "out" / "compare.jpg"))[:, :550].astype(int)
    changed = (np.abs(aggregated - alone) > 100).any(axis=2)
    assert changed.mean() > 0.005


def test_boxes_are_enlarged_with_their_frame():
    image = np.full((*SIZE, 3), 100, np.uint8)
    picture = SCRIPT["draw_enlarged"](image, make_instances([0.9]), 480, ["cat"], 0.5)
    assert picture.shape == (320, 480, 3)
    changed = (picture != 100).any(axis=2)
    assert changed[249:252, 100:300].any(axis=0).all()
    assert not changed[256:].any()
