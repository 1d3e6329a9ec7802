"""The demo program, with a predictor that finds one known box."""

import importlib.util
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances

from fgfa.data.video_file import VideoReader, VideoWriter
from fgfa.drawing import class_color
from fgfa.errors import InputError

ROOT = Path(__file__).parents[1]
CONFIG = ["--config-file", str(ROOT / "configs" / "Base-RFCN.yaml")]
DELAY = 2


class Predictor:
    """Finds class 1 at (10, 10, 50, 40) in each frame, two frames late."""

    made: ClassVar["list[Predictor]"] = []

    def __init__(self, cfg: CfgNode, causal: bool = False) -> None:
        self.cfg, self.causal, self.reads = cfg, causal, 0
        self.made.append(self)

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[int, Instances]]:
        frames = iter(frames)
        for self.reads, frame in enumerate(frames):
            if self.reads >= DELAY:
                yield self.reads - DELAY, self.detect(frame)
        for index in range(max(self.reads + 1 - DELAY, 0), self.reads + 1):
            yield index, self.detect(frame)

    def detect(self, frame: np.ndarray) -> Instances:
        instances = Instances(frame.shape[:2])
        instances.pred_boxes = Boxes(torch.tensor([[10.0, 10.0, 50.0, 40.0]]))
        instances.pred_classes = torch.tensor([1])
        instances.scores = torch.tensor([0.9])
        return instances


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "projects" / "FGFA" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VideoPredictor", Predictor)
    monkeypatch.setattr(Predictor, "made", [])
    return module


@pytest.fixture
def images(tmp_path: Path) -> str:
    """Twelve frames of gray levels 0, 20, ..., 220, frame_0.png to frame_11.png."""
    for index in range(12):
        frame = np.full((48, 64, 3), 20 * index, np.uint8)
        cv2.imwrite(str(tmp_path / f"frame_{index}.png"), frame)
    return str(tmp_path / "frame_*.png")


@pytest.fixture
def video(tmp_path: Path) -> str:
    """A video of eight black frames, 12 a second."""
    path = tmp_path / "video.mp4"
    with VideoWriter(path, fps=12) as writer:
        for _ in range(8):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    return str(path)


def test_images_become_a_folder_of_annotated_frames(demo: ModuleType, images: str, tmp_path: Path):
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out")])
    for index in range(12):
        frame = cv2.imread(str(tmp_path / "out" / f"frame_{index}.png"))
        assert (frame[45, 60] == 20 * index).all()
        assert tuple(frame[40, 30]) == class_color(1)
    assert len(list((tmp_path / "out").iterdir())) == 12


def test_images_become_a_video_in_natural_order(demo: ModuleType, images: str, tmp_path: Path):
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out.mp4")])
    frames = list(VideoReader(str(tmp_path / "out.mp4")))
    levels = [frame[44:, 56:].mean() for frame in frames]
    np.testing.assert_allclose(levels, 20 * np.arange(12), atol=6)


def test_video_becomes_a_video_of_its_speed(demo: ModuleType, video: str, tmp_path: Path):
    demo.main([*CONFIG, "--video-input", video, "--output", str(tmp_path / "out.mp4")])
    result = VideoReader(str(tmp_path / "out.mp4"))
    assert (result.fps, result.length) == (12, 8)
    assert all(frame[40, 30].max() > 60 for frame in result)
    assert not Predictor.made[0].causal


def test_video_becomes_a_folder(demo: ModuleType, video: str, tmp_path: Path):
    demo.main([*CONFIG, "--video-input", video, "--output", str(tmp_path / "out")])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{index:06d}.jpg" for index in range(8)]


def test_frames_are_read_as_they_are_needed(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    reads_at_write = []
    monkeypatch.setattr(
        demo, "write_image", lambda *_: reads_at_write.append(Predictor.made[0].reads)
    )
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out")])
    assert reads_at_write == [min(index + DELAY, 11) for index in range(12)]


def test_interrupt_leaves_a_video_of_the_frames_so_far(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls = itertools.count()

    def draw(frame: np.ndarray, instances: Instances, class_names: list[str]) -> np.ndarray:
        if next(calls) == 5:
            raise KeyboardInterrupt
        return frame

    monkeypatch.setattr(demo, "draw_instances", draw)
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out.mp4")])
    assert len(list(VideoReader(str(tmp_path / "out.mp4")))) == 5
    assert not list(tmp_path.glob(".*part*"))


def test_webcam_is_causal_and_escape_closes_the_window(
    demo: ModuleType, video: str, monkeypatch: pytest.MonkeyPatch
):
    shown = []
    sources = []
    monkeypatch.setattr(
        demo, "VideoReader", lambda source: sources.append(source) or VideoReader(video)
    )
    monkeypatch.setattr(cv2, "imshow", lambda _name, frame: shown.append(frame))
    monkeypatch.setattr(cv2, "waitKey", lambda _delay: 27 if len(shown) == 3 else -1)
    demo.main([*CONFIG, "--webcam"])
    assert sources == [0]
    assert len(shown) == 3
    assert Predictor.made[0].causal


def test_options_reach_the_config(demo: ModuleType, images: str, tmp_path: Path):
    options = ["--confidence-threshold", "0.25", "--opts", "MODEL.ROI_HEADS.NUM_CLASSES", "7"]
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out"), *options])
    cfg = Predictor.made[0].cfg
    assert cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST == 0.25
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 7


def test_class_names_come_from_the_first_test_set(demo: ModuleType):
    args = demo.make_parser().parse_args(
        [*CONFIG, "--webcam", "--opts", "DATASETS.TEST", "('imagenet_vid_val',)"]
    )
    assert demo.find_class_names(demo.setup(args))[0] == "airplane"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--video-input", "none.mp4"], "none.mp4 does not exist"),
        (["--input", "none/*.jpg"], "no image file matches"),
        (["--input", __file__, "--output", "out"], "cannot be read as an image"),
        (["--input", __file__, "--output", "out.avi"], "neither an .mp4 file nor a folder"),
        (["--input", __file__, "--opts", "NO.KEY", "1"], "NO.KEY"),
        (["--input", __file__, "--config-file", "none.yaml"], "none.yaml does not exist"),
    ],
)
def test_bad_input_is_one_sentence(demo: ModuleType, arguments: list[str], sentence: str):
    with pytest.raises(InputError, match=sentence):
        demo.main([*CONFIG, *arguments])


def test_missing_display_is_one_sentence(demo: ModuleType, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise cv2.error("no display")

    monkeypatch.setattr(cv2, "imshow", fail)
    with pytest.raises(InputError, match="give --output"):
        demo.show(np.zeros((8, 8, 3), np.uint8))
