"""Detection in many videos by the program, with a predictor that finds one box a frame."""

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances

from fgfa.errors import InputError
from fgfa.video_batch import detecting

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs" / "Base-RFCN.yaml")
UNREADABLE, TOO_LARGE = 200, 210  # gray values of frames that the predictor cannot take


class Predictor:
    """Finds class 2 in each frame, with its gray value as x1, one frame late."""

    seen: ClassVar[list[int]] = []
    cfg: CfgNode

    def __init__(self, cfg: CfgNode) -> None:
        type(self).cfg = cfg

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[int, Instances]]:
        last = None
        for index, frame in enumerate(frames):
            if last is not None:
                yield index - 1, self.detect(last)
            last = frame
        yield index, self.detect(last)

    def detect(self, frame: np.ndarray) -> Instances:
        gray = int(frame[0, 0, 0])
        self.seen.append(gray)
        if gray == UNREADABLE:
            raise InputError("this frame is gray")
        if gray == TOO_LARGE:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 1 PiB")
        instances = Instances(frame.shape[:2])
        instances.pred_boxes = Boxes(torch.tensor([[gray, 1.0, 40.0, 30.0]]))
        instances.scores = torch.tensor([0.5])
        instances.pred_classes = torch.tensor([2])
        return instances


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = ROOT / "scripts" / "detect_videos.py"
    spec = importlib.util.spec_from_file_location("detect_videos", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Detectron2 would keep the output that pytest closes, and cut loggers off from caplog.
    monkeypatch.setattr(module, "setup_logger", lambda name: None)
    monkeypatch.setattr(detecting, "VideoPredictor", Predictor)
    monkeypatch.setattr(Predictor, "seen", [])
    return module


@pytest.fixture
def run(program: ModuleType, tmp_path: Path) -> Callable[..., int]:
    """A function that runs the program on all of "in" or on its arguments; gives its status."""
    (tmp_path / "model.pth").write_bytes(b"weights")

    def start(*arguments: str, inputs: Iterable[str] = ("in",), opts: Iterable[str] = ()) -> int:
        videos = [str(tmp_path / name) for name in inputs]
        command = [*videos, "--output", str(tmp_path / "out"), "--config-file", CONFIG, *arguments]
        command += ["--opts", "MODEL.WEIGHTS", str(tmp_path / "model.pth"), *opts]
        try:
            program.main(command)
        except SystemExit as error:
            return error.code
        return 0

    return start


@pytest.fixture(autouse=True)
def videos(tmp_path: Path) -> None:
    write_images(tmp_path / "in" / "a" / "x", range(10, 13))
    write_images(tmp_path / "in" / "b" / "x", range(20, 25))


def write_images(folder: Path, values: Iterable[int]) -> None:
    """Makes a video of gray frames."""
    folder.mkdir(parents=True)
    for number, value in enumerate(values):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((32, 48, 3), value, np.uint8))


def files(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths)


def test_results_of_each_video(run: Callable[..., int], tmp_path: Path):
    assert run() == 0
    names = [f"{folder}/x{suffix}" for folder in "ab" for suffix in (".json", ".txt")]
    assert files(tmp_path / "out") == [".lock", *names, "settings.json"]
    content = json.loads((tmp_path / "out/a/x.json").read_text())
    frames = content.pop("frames")
    assert [frame["detections"][0]["box"][0] for frame in frames] == [10, 11, 12]
    assert [frame["name"] for frame in frames] == ["0.png", "1.png", "2.png"]
    assert content.pop("settings")
    assert content == {
        "video": str(tmp_path / "in/a/x"),
        "source_size": 3,
        "fps": None,
        "class_names": [],
        "config_file": "Base-RFCN.yaml",
        "weights": "model.pth",
        "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
        "confidence_threshold": 0.001,
        "width": 48,
        "height": 32,
        "num_frames": 3,
        "left_out": [],
    }
    assert (tmp_path / "out/a/x.txt").read_text().splitlines()[2] == (
        "3 3 0.5000 12.00 1.00 40.00 30.00"
    )


def test_boxes_are_numbered_on_request(run: Callable[..., int], tmp_path: Path):
    assert run("--track") == 0
    frames = json.loads((tmp_path / "out/b/x.json").read_text())["frames"]
    assert [frame["detections"][0]["track"] for frame in frames] == [1] * 5
    with pytest.raises(InputError, match="tracks is True there and False here"):
        run()


def test_longest_video_comes_first(run: Callable[..., int]):
    assert run() == 0
    assert Predictor.seen == [*range(20, 25), *range(10, 13)]


def test_finished_videos_are_left_alone(run: Callable[..., int], tmp_path: Path, capsys):
    assert run() == 0
    (tmp_path / "out/a/x.json").unlink()
    Predictor.seen.clear()
    assert run() == 0
    assert Predictor.seen == [10, 11, 12]
    assert "1 of 2 videos are finished" in capsys.readouterr().out
    Predictor.seen.clear()
    assert run() == 0
    assert Predictor.seen == []
    assert "2 of 2 videos are finished" in capsys.readouterr().out


def test_overwrite_begins_anew_and_can_be_resumed(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert run() == 0
    (tmp_path / "model.pth").write_bytes(b"better weights")

    def stop(_self: Predictor, _frame: np.ndarray) -> Instances:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "detect", stop)
        assert run("--overwrite") == 130
    assert files(tmp_path / "out") == [".lock", "settings.json"]
    Predictor.seen.clear()
    assert run() == 0
    assert len(Predictor.seen) == 8


def test_results_of_former_settings_are_replaced_when_their_turn_comes(
    run: Callable[..., int], tmp_path: Path
):
    assert run() == 0
    hidden = (tmp_path / "in" / "b").rename(tmp_path / "in" / ".b")
    assert run("--overwrite", "--confidence-threshold", "0.5") == 0
    hidden.rename(tmp_path / "in" / "b")
    Predictor.seen.clear()
    assert run("--confidence-threshold", "0.5") == 0
    assert Predictor.seen == list(range(20, 25))


def test_other_settings_are_one_sentence(run: Callable[..., int], tmp_path: Path):
    assert run() == 0
    with pytest.raises(InputError, match=r"SCORE_THRESH_TEST is 0\.001 there and 0\.5 here"):
        run("--confidence-threshold", "0.5")
    (tmp_path / "model.pth").write_bytes(b"others")
    with pytest.raises(InputError, match=r"MODEL\.WEIGHTS is [0-9a-f]{64} there"):
        run()
    assert run("--overwrite", "--confidence-threshold", "0.5") == 0
    assert Predictor.cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST == 0.5


def test_results_of_another_video_are_not_replaced(run: Callable[..., int], tmp_path: Path):
    assert run(inputs=["in/a/x"]) == 0
    former = (tmp_path / "out/x.json").read_text()
    with pytest.raises(InputError, match=r"x\.json has the detections of another video, .*in/a/x"):
        run(inputs=["in/b/x"])
    assert (tmp_path / "out/x.json").read_text() == former
    assert run("--overwrite", inputs=["in/b/x"]) == 0
    assert (tmp_path / "out/x.json").read_text() != former


def test_a_broken_video_does_not_stop_the_others(
    run: Callable[..., int], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "in" / "broken.mp4").write_bytes(b"no video")
    write_images(tmp_path / "in" / "c" / "late", [*range(30, 36), UNREADABLE, 37])
    write_images(tmp_path / "in" / "c" / "large", [TOO_LARGE, 40])
    assert run() == 1
    assert [name for name in files(tmp_path / "out") if name.endswith(".txt")] == [
        "a/x.txt",
        "b/x.txt",
        "failed.txt",
    ]
    lines = (tmp_path / "out" / "failed.txt").read_text().splitlines()
    assert lines[0].startswith("broken.mp4: video ")
    assert lines[1:] == [
        "c/large: CUDA out of memory. Tried to allocate 1 PiB",
        "c/late: this frame is gray",
    ]
    for line in lines:
        assert line.replace(": ", " failed: ", 1) in caplog.text


def test_failed_videos_are_tried_again(run: Callable[..., int], tmp_path: Path):
    write_images(tmp_path / "in" / "c", [UNREADABLE])
    assert run() == 1
    cv2.imwrite(str(tmp_path / "in" / "c" / "0.png"), np.zeros((32, 48, 3), np.uint8))
    Predictor.seen.clear()
    assert run() == 0
    assert Predictor.seen == [0]
    assert "failed.txt" not in files(tmp_path / "out")


def test_a_fault_of_the_program_is_no_failure_of_a_video(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(_self: Predictor, _frame: np.ndarray) -> Instances:
        raise ZeroDivisionError

    monkeypatch.setattr(Predictor, "detect", fail)
    with pytest.raises(ZeroDivisionError):
        run()
    assert files(tmp_path / "out") == [".lock", "settings.json"]


@pytest.mark.parametrize("name", ["settings", "failed"])
def test_results_do_not_take_the_place_of_our_files(
    name: str, run: Callable[..., int], tmp_path: Path
):
    write_images(tmp_path / "in" / name, [1])
    with pytest.raises(InputError, match=f"in/{name} would get the name of another file"):
        run()


def test_summary_is_logged(run: Callable[..., int], caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="fgfa")
    assert run() == 0
    assert "2 videos of 8 frames in 00:0" in caplog.text
    assert "0 failed, 0 frames or gaps left out" in caplog.text


def test_corrupt_images_stop_a_video_or_are_counted(
    run: Callable[..., int], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "in/a/x/1.png").write_bytes(b"no image")
    assert run() == 1
    assert "a/x/1.png: the image cannot be read" in (tmp_path / "out/failed.txt").read_text()
    caplog.set_level("INFO", logger="fgfa")
    assert run("--overwrite", opts=["TEST.CORRUPT_FRAMES", "skip"]) == 0
    content = json.loads((tmp_path / "out/a/x.json").read_text())
    assert [frame["name"] for frame in content["frames"]] == ["0.png", "2.png"]
    (problem,) = content["left_out"]
    assert "a/x/1.png: the image cannot be read" in problem
    assert "0 failed, 1 frames or gaps left out" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-machines", "2"], "need a --dist-url"),
        (["--num-machines", "2", "--dist-url", "tcp://a:1", "--machine-rank", "2"], "from 0 to"),
        (["--num-gpus", "0"], "--num-gpus is 0"),
    ],
)
def test_options_that_do_not_fit(
    arguments: list[str], message: str, run: Callable[..., int], capsys: pytest.CaptureFixture
):
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
