"""The demo program, with a predictor that finds one known box."""

import importlib.util
import itertools
import json
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances

from fgfa import frame_sinks
from fgfa.data import frame_source
from fgfa.data.video_reading import VideoReader
from fgfa.data.video_writing import VideoWriter
from fgfa.drawing import class_color
from fgfa.errors import InputError
from fgfa.modeling import Explanation

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

    def explain(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[int, Instances, Explanation]]:
        """The window of frame k is k - 2, ..., k + 2; a frame alone shows class 3."""
        for index, instances in self(frames):
            window = [min(max(index + step, 0), self.reads) for step in range(-DELAY, DELAY + 1)]
            flow, weights = torch.zeros(5, 2, 3, 4), torch.full((5, 3, 4), 0.2)
            alone = self.detect(np.zeros((48, 64, 3)), label=3)
            yield index, instances, Explanation(window, DELAY, flow, weights, alone)

    def detect(self, frame: np.ndarray, label: int = 1) -> Instances:
        """Two boxes, of scores 0.9 and 0.1."""
        instances = Instances(frame.shape[:2])
        boxes = [[10.0, 10.0, 50.0, 40.0], [20.0, 20.0, 30.0, 30.0]]
        instances.pred_boxes = Boxes(torch.tensor(boxes))
        instances.pred_classes = torch.tensor([label, label])
        instances.scores = torch.tensor([0.9, 0.1])
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


def test_corrupt_images_can_be_left_out(
    demo: ModuleType, images: str, tmp_path: Path, capsys: pytest.CaptureFixture
):
    (tmp_path / "frame_3.png").write_bytes(b"no image")
    command = [*CONFIG, "--input", images, "--output", str(tmp_path / "out.jsonl"), "--opts"]
    demo.main([*command, "TEST.CORRUPT_FRAMES", "skip"])
    records = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [record["frame"] for record in records] == [0, 1, 2, *range(4, 12)]
    assert "Left out, since they cannot be read: 1 frames" in capsys.readouterr().out


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


@pytest.mark.parametrize("name", ["out", "out.frames/"])
def test_video_becomes_a_folder(demo: ModuleType, video: str, tmp_path: Path, name: str):
    demo.main([*CONFIG, "--video-input", video, "--output", f"{tmp_path}/{name}"])
    names = sorted(path.name for path in (tmp_path / name).iterdir())
    assert names == [f"{index:06d}.jpg" for index in range(8)]


def test_frames_are_read_as_they_are_needed(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    reads_at_write = []
    monkeypatch.setattr(
        frame_sinks, "write_image", lambda *_: reads_at_write.append(Predictor.made[0].reads)
    )
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out")])
    assert reads_at_write == [min(index + DELAY, 11) for index in range(12)]


def test_several_outputs_at_once_keep_numbers_and_times(
    demo: ModuleType, video: str, tmp_path: Path
):
    outputs = [str(tmp_path / name) for name in ("out.mp4", "out.jsonl", "out")]
    options = ["--start", "1", "--end", "7", "--stride", "2"]
    demo.main([*CONFIG, "--video-input", video, "--output", *outputs, *options])
    records = read_lines(tmp_path / "out.jsonl")
    assert [record["frame"] for record in records] == [1, 3, 5]
    seconds = [record["seconds"] for record in records]
    assert seconds == pytest.approx([1 / 12, 3 / 12, 5 / 12], abs=1e-4)
    for record in records:
        (detection,) = record["detections"]
        assert (detection["class_id"], detection["box"]) == (1, [10, 10, 50, 40])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["000001.jpg", "000003.jpg", "000005.jpg"]
    reader = VideoReader(str(tmp_path / "out.mp4"))
    times = [seconds for seconds, _ in reader.timed()]
    # A frame is shown for as long as its time to the next that was taken.
    assert times == pytest.approx([0, 2 / 12, 4 / 12], abs=1e-3)
    assert reader.fps == pytest.approx(6)


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_progress_counts_the_chosen_frames(
    demo: ModuleType, images: str, video: str, tmp_path: Path, capfd: pytest.CaptureFixture
):
    output = ["--output", str(tmp_path / "out.jsonl")]
    demo.main([*CONFIG, "--input", images, *output, "--start", "2", "--stride", "3"])
    assert "4/4" in capfd.readouterr().err
    demo.main([*CONFIG, "--video-input", video, *output, "--start", "6", "--end", "30"])
    assert "2/2" in capfd.readouterr().err


def test_images_of_one_name_do_not_overwrite_each_other(demo: ModuleType, tmp_path: Path):
    for index, folder in enumerate(["cat", "dog"]):
        (tmp_path / folder).mkdir()
        image = np.full((48, 64, 3), 100 * index, np.uint8)
        cv2.imwrite(str(tmp_path / folder / "a.png"), image)
    outputs = [str(tmp_path / "out"), str(tmp_path / "out.jsonl")]
    demo.main([*CONFIG, "--input", str(tmp_path / "*" / "a.png"), "--output", *outputs])
    for index, folder in enumerate(["cat", "dog"]):
        assert cv2.imread(str(tmp_path / "out" / folder / "a.png"))[45, 60, 0] == 100 * index
    names = [record["name"] for record in read_lines(tmp_path / "out.jsonl")]
    assert names == ["cat/a.png", "dog/a.png"]


def test_one_image_becomes_one_image(demo: ModuleType, images: str, tmp_path: Path):
    image = images.replace("*", "3")
    demo.main([*CONFIG, "--input", image, "--output", str(tmp_path / "out.png")])
    assert tuple(cv2.imread(str(tmp_path / "out.png"))[40, 30]) == class_color(1)


def test_json_alone_draws_nothing(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fail = partial(pytest.fail, "nobody wants to see this")
    monkeypatch.setattr(demo, "draw_instances", lambda *_, **__: fail())
    monkeypatch.setattr(Predictor, "explain", lambda *_: fail())
    output = ["--output", str(tmp_path / "out.jsonl")]
    demo.main([*CONFIG, "--input", images, *output, "--compare", "--show", "flow"])
    assert len(read_lines(tmp_path / "out.jsonl")) == 12


class Tracker:
    """Gives each box the number of the frame, from 1, times ten, and its own."""

    def __init__(self) -> None:
        self.frames = 0

    def update(self, instances: Instances) -> Instances:
        self.frames += 1
        tracked = instances[torch.arange(len(instances))]
        tracked.track_ids = 10 * self.frames + torch.arange(len(instances))
        return tracked


def test_tracks_go_through_low_scores_that_are_not_shown(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(demo, "Tracker", Tracker)
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out.jsonl"), "--track"])
    assert Predictor.made[0].cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST == 0.05
    tracks = [
        [detection["track"] for detection in record["detections"]]
        for record in read_lines(tmp_path / "out.jsonl")
    ]
    assert tracks == [[10 * number] for number in range(1, 13)]


def test_comparison_stands_beside(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(demo, "side_by_side", lambda left, right, titles: np.hstack([left, right]))
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out"), "--compare"])
    frame = cv2.imread(str(tmp_path / "out" / "frame_4.png"))
    assert frame.shape == (48, 128, 3)
    assert tuple(frame[40, 30]) == class_color(3)
    assert tuple(frame[40, 64 + 30]) == class_color(1)


def test_window_stands_below(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    windows = []

    def draw_window(
        images: Sequence[np.ndarray], explanation: Explanation, width: int, show: Sequence[str]
    ) -> np.ndarray:
        windows.append([int(image[0, 0, 0]) // 20 for image in images])
        assert show == ["flow", "weights"]
        return np.full((7, width, 3), 255, np.uint8)

    monkeypatch.setattr(demo, "draw_window", draw_window)
    output = ["--output", str(tmp_path / "out")]
    demo.main([*CONFIG, "--input", images, *output, "--show", "flow", "weights"])
    assert windows[0] == [0, 0, 0, 1, 2]
    assert windows[5] == [3, 4, 5, 6, 7]
    assert windows[11] == [9, 10, 11, 11, 11]
    frame = cv2.imread(str(tmp_path / "out" / "frame_4.png"))
    assert frame.shape == (55, 64, 3)
    assert (frame[48:] == 255).all()


@pytest.mark.parametrize("explains", [False, True])
def test_only_the_frames_of_a_window_are_kept(demo: ModuleType, explains: bool):
    alive = []

    class Image(np.ndarray):
        def __del__(self) -> None:
            alive.remove(id(self))

    def frames() -> Iterator[frame_source.SourceFrame]:
        for number in range(50):
            image = np.zeros((48, 64, 3), np.uint8).view(Image)
            alive.append(id(image))
            yield frame_source.SourceFrame(number, image)
            del image

    for _ in demo.detect(frames(), Predictor(CfgNode()), explains):
        assert len(alive) <= 2 * DELAY + 4
    assert len(Predictor.made) == 1


def test_interrupt_leaves_files_of_the_frames_so_far(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupt_drawing(demo, monkeypatch, KeyboardInterrupt)
    outputs = [str(tmp_path / "out.mp4"), str(tmp_path / "out.jsonl")]
    demo.main([*CONFIG, "--input", images, "--output", *outputs])
    assert len(list(VideoReader(str(tmp_path / "out.mp4")))) == 5
    assert len(read_lines(tmp_path / "out.jsonl")) == 5
    assert not list(tmp_path.glob(".*part*"))


def test_error_leaves_files_of_the_frames_so_far(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupt_drawing(demo, monkeypatch, RuntimeError)
    with pytest.raises(RuntimeError):
        demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out.mp4")])
    assert len(list(VideoReader(str(tmp_path / "out.mp4")))) == 5


def interrupt_drawing(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    calls = itertools.count()

    def draw(frame: np.ndarray, instances: Instances, **_: object) -> np.ndarray:
        if next(calls) == 5:
            raise error
        return frame

    monkeypatch.setattr(demo, "draw_instances", draw)


def test_error_before_the_first_frame_leaves_no_file(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(demo, "draw_instances", lambda *_, **__: 1 / 0)
    outputs = [str(tmp_path / "out.mp4"), str(tmp_path / "out.jsonl")]
    with pytest.raises(ZeroDivisionError):
        demo.main([*CONFIG, "--input", images, "--output", *outputs])
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_waits_for_all_outputs_of_a_frame(
    demo: ModuleType, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    write = frame_sinks.VideoSink.write

    def write_and_signal(sink: frame_sinks.VideoSink, frame: object, *rest: object) -> None:
        write(sink, frame, *rest)
        if frame.number == 6:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)

    monkeypatch.setattr(frame_sinks.VideoSink, "write", write_and_signal)
    outputs = [str(tmp_path / "out.mp4"), str(tmp_path / "out.jsonl")]
    former = signal.getsignal(number)
    demo.main([*CONFIG, "--input", images, "--output", *outputs])
    assert len(list(VideoReader(str(tmp_path / "out.mp4")))) == 7
    assert len(read_lines(tmp_path / "out.jsonl")) == 7
    assert signal.getsignal(number) == former


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Pictures in the window, in which the escape key is pressed at the third."""
    shown = []
    monkeypatch.setattr(cv2, "imshow", lambda _name, frame: shown.append(frame))
    monkeypatch.setattr(cv2, "waitKey", lambda _delay: 27 if len(shown) == 3 else -1)
    return shown


@pytest.mark.parametrize(("arguments", "number"), [(["--webcam"], 0), (["--webcam", "2"], 2)])
def test_webcam_is_causal_and_escape_closes_the_window(
    demo: ModuleType,
    video: str,
    window: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    number: int,
):
    sources = []
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda n: sources.append(n) or capture(video))
    # A camera has no length.
    monkeypatch.setattr(cv2, "CAP_PROP_FRAME_COUNT", -1)
    demo.main([*CONFIG, *arguments])
    assert sources == [number]
    assert len(window) == 3
    assert Predictor.made[0].causal


def test_window_opens_beside_an_output_where_asked_for(
    demo: ModuleType, images: str, window: list[np.ndarray], tmp_path: Path
):
    arguments = [*CONFIG, "--input", images, "--output", str(tmp_path / "out.mp4")]
    demo.main(arguments)
    assert not window
    demo.main([*arguments, "--window"])
    assert len(window) == 3
    assert len(list(VideoReader(str(tmp_path / "out.mp4")))) == 3


def test_options_reach_the_config(demo: ModuleType, images: str, tmp_path: Path):
    options = ["--confidence-threshold", "0.25", "--opts", "MODEL.ROI_HEADS.NUM_CLASSES", "7"]
    demo.main([*CONFIG, "--input", images, "--output", str(tmp_path / "out"), *options])
    cfg = Predictor.made[0].cfg
    assert cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST == 0.25
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--video-input", "none.mp4"], "none.mp4 does not exist"),
        (["--input", "none/*.jpg"], "no image file matches"),
        (["--input", __file__, "--output", "out"], "the image cannot be read"),
        (
            ["--input", __file__, "--output", "out.avi"],
            "neither an .mp4 or .jsonl file nor a folder",
        ),
        (["--input", __file__, "--output", __file__], "would be overwritten"),
        (["--input", __file__, "--start", "1"], "1 is not among them"),
        (["--input", __file__, "--start", "-1"], "start -1 is below 0"),
        (["--input", __file__, "--stride", "0"], "stride 0 below 1"),
        (["--input", __file__, "--start", "4", "--end", "4"], "no frame is left"),
        (["--input", __file__, "--opts", "NO.KEY", "1"], "NO.KEY"),
        (["--input", __file__, "--config-file", "none.yaml"], "none.yaml does not exist"),
    ],
)
def test_bad_input_is_one_sentence(demo: ModuleType, arguments: list[str], sentence: str):
    with pytest.raises(InputError, match=sentence):
        demo.main([*CONFIG, *arguments])


def test_output_folder_of_the_input_is_one_sentence(demo: ModuleType, images: str, tmp_path: Path):
    with pytest.raises(InputError, match="would be overwritten"):
        demo.main([*CONFIG, "--input", images, "--output", str(tmp_path)])
    assert not cv2.imread(str(tmp_path / "frame_0.png")).any()


def test_missing_display_is_one_sentence(
    demo: ModuleType, images: str, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise cv2.error("no display")

    monkeypatch.setattr(cv2, "imshow", fail)
    with pytest.raises(InputError, match="give --output"):
        demo.main([*CONFIG, "--input", images])
