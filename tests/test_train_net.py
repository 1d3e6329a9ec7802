"""Training and evaluation from the command line, on a few drawn frames."""

import importlib.util
import json
import logging
import math
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import default_argument_parser
from detectron2.modeling import build_model

from fgfa.data import register_imagenet_vid
from fgfa.data.moving_shapes import MOVING_SHAPES_CLASSES, write_moving_shapes
from fgfa.errors import InputError
from fgfa.evaluation.prediction_file import write_predictions
from fgfa.evaluation.resumable import ResumableEvaluator

ROOT = Path(__file__).parents[1]
TRAIN_NET = ROOT / "projects" / "FGFA" / "train_net.py"
EVALUATE = ROOT / "scripts" / "evaluate.py"
FRAMES = 6
ORIGINAL = [
    *("MODEL.ANCHOR_GENERATOR.NAME", "LegacyAnchorGenerator", "SOLVER.OPTIMIZER", "MXNetSGD"),
    *("MODEL.PROPOSAL_GENERATOR.NAME", "LegacyRPN", "MODEL.ROI_HEADS.NAME", "LegacyRFCNROIHeads"),
    *("INPUT.RESIZE_BY_FACTOR", "True", "INPUT.MIN_SIZE_TEST", "48"),
]


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    """A folder with two training and two validation videos of moving shapes."""
    write_moving_shapes(
        tmp_path / "data", train_videos=2, val_videos=2, frames=FRAMES, size=(64, 96)
    )
    return tmp_path / "data"


@pytest.fixture
def config_file(tiny_cfg: CfgNode, tmp_path: Path) -> str:
    tiny_cfg.merge_from_list(
        [
            *("DATASETS.TRAIN", ("moving_shapes_train",), "DATASETS.TEST", ("moving_shapes_val",)),
            *("DATALOADER.NUM_WORKERS", 0, "SOLVER.IMS_PER_BATCH", 2, "SOLVER.MAX_ITER", 2),
            *("INPUT.MIN_SIZE_TRAIN", (64,), "INPUT.MIN_SIZE_TEST", 64, "SEED", 1),
            *("SOLVER.STEPS", (), "SOLVER.BASE_LR", 1e-4, "OUTPUT_DIR", str(tmp_path / "out")),
        ]
    )
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_cfg.dump())
    return str(path)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Takes back what the program sets up in loggers, so that other tests see their messages."""
    loggers = [logging.getLogger(name) for name in ("fgfa", "detectron2", "fvcore")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


@pytest.fixture
def train_net(datasets: Path, logging_as_before: None) -> Iterator[ModuleType]:
    """The program as a module, with data sets "tiny_train" and "tiny_val"."""
    spec = importlib.util.spec_from_file_location("train_net", TRAIN_NET)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = datasets / "moving_shapes" / "ILSVRC2015"
    lists = {"tiny_train": ("VID_train_keyframes", True), "tiny_val": ("VID_val_videos", False)}
    for name, (image_set, key_frames) in lists.items():
        register_imagenet_vid(
            name,
            root,
            image_set,
            class_names=MOVING_SHAPES_CLASSES,
            subset="VID",
            key_frames=key_frames,
        )
    yield module
    for name in lists:
        DatasetCatalog.pop(name)
        MetadataCatalog.pop(name)


def run_here(module: ModuleType, config_file: str, *arguments: str) -> dict | None:
    names = ["DATASETS.TRAIN", "('tiny_train',)", "DATASETS.TEST", "('tiny_val',)"]
    args = default_argument_parser().parse_args(["--config-file", config_file, *arguments, *names])
    return module.main(args)


def run(datasets: Path, config_file: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, TRAIN_NET, "--config-file", config_file, *arguments],
        env={**os.environ, "DETECTRON2_DATASETS": str(datasets)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def assert_one_sentence(done: subprocess.CompletedProcess, *parts: str) -> None:
    assert done.returncode == 1, done.stderr
    (sentence,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert all(part in sentence for part in parts), sentence
    assert "Traceback" not in done.stderr + done.stdout


def metrics_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.json").read_text().splitlines()]


def test_training_evaluates_and_is_resumed(train_net: ModuleType, config_file: str, tmp_path: Path):
    out = tmp_path / "out"
    run_here(train_net, config_file, "SOLVER.MAX_ITER", "3")
    results = json.loads((out / "results.json").read_text())
    assert set(results["bbox"]) > {"AP50", "AP50-slow", "AP50-medium", "AP50-fast"}
    assert (out / "last_checkpoint").read_text() == "model_final.pth"
    assert list(out.glob("events.out.tfevents*"))
    assert (out / "detections.txt").read_text().count("\n") > 0
    states = torch.load(out / "model_final.pth", weights_only=False)
    assert states["iteration"] == 2
    assert all(math.isfinite(m["total_loss"]) for m in metrics_of(out) if "total_loss" in m)

    run_here(train_net, config_file, "--resume", "SOLVER.MAX_ITER", "5")
    assert torch.load(out / "model_final.pth", weights_only=False)["iteration"] == 4
    assert "Starting training from iteration 3" in (out / "log.txt").read_text()

    first = (out / "detections.txt").read_text()
    weights = ["MODEL.WEIGHTS", str(out / "model_final.pth"), "OUTPUT_DIR", str(tmp_path / "eval")]
    run_here(train_net, config_file, "--eval-only", *weights)
    assert (tmp_path / "eval" / "detections.txt").read_text() == first


def test_seq_nms_starts_from_boxes_before_nms(
    train_net: ModuleType, config_file: str, monkeypatch: pytest.MonkeyPatch
):
    models = []
    evaluate = train_net.evaluate
    monkeypatch.setattr(
        train_net, "evaluate", lambda cfg, model, _: models.append(model) or evaluate(cfg, model)
    )
    run_here(train_net, config_file, "--eval-only")
    results = run_here(train_net, config_file, "--eval-only", "TEST.SEQ_NMS.ENABLED", "True")
    assert [model.roi_heads.test_nms_thresh for model in models] == [0.3, 1.0]
    assert "AP50" in results["bbox"]


def interrupt_at_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    process = ResumableEvaluator.process

    def interrupted(self: ResumableEvaluator, inputs: list[dict], outputs: list[dict]) -> None:
        if inputs[0]["image_id"] == 2 * FRAMES:
            raise InterruptedError
        process(self, inputs, outputs)

    monkeypatch.setattr(ResumableEvaluator, "process", interrupted)


@pytest.mark.parametrize(("seq_nms", "corrupt"), [("True", "stop"), ("False", "skip")])
def test_interrupted_evaluation_goes_on_behind_the_last_whole_video(
    train_net: ModuleType,
    datasets: Path,
    config_file: str,
    tmp_path: Path,
    seq_nms: str,
    corrupt: str,
):
    options = ("--eval-only", "TEST.SEQ_NMS.ENABLED", seq_nms, "TEST.CORRUPT_FRAMES", corrupt)
    if corrupt == "skip":
        truncate(val_frame(datasets, 0, 1))
    out = tmp_path / "out"
    run_here(train_net, config_file, *options)
    expected = [(out / name).read_bytes() for name in ("detections.txt", "results.json")]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        interrupt_at_last_frame(patch)
        run_here(train_net, config_file, *options)
    other = ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.5")
    with pytest.raises(InputError, match="an unfinished evaluation of another model, config or"):
        run_here(train_net, config_file, "--resume", *options, *other)
    run_here(train_net, config_file, "--resume", *options)
    assert "1 of 2 videos were evaluated before" in (out / "log.txt").read_text()
    assert [(out / name).read_bytes() for name in ("detections.txt", "results.json")] == expected
    assert not (out / "unfinished_evaluation").exists()


def test_saved_raw_boxes_give_the_same_results_after_seq_nms(
    train_net: ModuleType, config_file: str, tmp_path: Path
):
    options = ("TEST.SEQ_NMS.ENABLED", "True", "TEST.SEQ_NMS.SAVE_RAW_BOXES", "True")
    results = run_here(train_net, config_file, "--eval-only", *options)
    out = tmp_path / "out"
    raw, rescored = (out / f"{name}.txt" for name in ("raw_detections", "detections"))
    evaluate = runpy.run_path(str(EVALUATE))
    command = ["--dataset", "tiny_val", "--predictions", str(raw), "--seq-nms"]
    command += ["--detections-per-image", "20"]  # as in the config
    np.testing.assert_equal(dict(evaluate["main"](command)["bbox"]), dict(results["bbox"]))

    args = evaluate["parse_args"](command)
    dicts, class_names = evaluate["load_dataset"](args)
    detections = evaluate["load_detections"]([raw], dicts, len(class_names), args)
    write_predictions(tmp_path / "from_raw.txt", detections)
    assert (tmp_path / "from_raw.txt").read_text() == rescored.read_text()
    assert raw.read_text().count("\n") > rescored.read_text().count("\n") > 0


def test_messages_of_the_package_are_logged(
    train_net: ModuleType, config_file: str, tmp_path: Path
):
    run_here(train_net, config_file, "--eval-only")
    log = (tmp_path / "out" / "log.txt").read_text()
    assert "AP50 by motion on tiny_val" in log
    assert "THE FLOW NETWORK HAS RANDOM WEIGHTS" in log


@pytest.mark.parametrize("architecture", ["FGFA", "LegacyRCNN"])
def test_conventions_of_the_original_train_and_evaluate(
    train_net: ModuleType, config_file: str, tmp_path: Path, architecture: str
):
    options = [*ORIGINAL, "MODEL.META_ARCHITECTURE", architecture]
    run_here(train_net, config_file, *options, "SOLVER.MAX_ITER", "3")
    out = tmp_path / "out"
    trainer = torch.load(out / "model_final.pth", weights_only=False)["trainer"]["_trainer"]
    assert {group["gradient_factor"] for group in trainer["optimizer"]["param_groups"]} == {2}
    plain = (out / "detections.txt").read_text()

    options += ["MODEL.WEIGHTS", str(out / "model_final.pth"), "TEST.SEQ_NMS.ENABLED", "True"]
    results = run_here(train_net, config_file, "--eval-only", *options)
    assert "AP50" in results["bbox"]
    assert (out / "detections.txt").read_text() != plain
    boxes = np.loadtxt(out / "detections.txt")[:, 3:]
    # The last of the 72 x 48 pixels that remain, in pixels of the frame.
    np.testing.assert_allclose(boxes.max(axis=0)[2:], [71 / 0.75, 47 / 0.75], atol=0.01)


def test_bad_config_is_one_sentence(train_net: ModuleType, config_file: str):
    with pytest.raises(InputError, match=r"none\.yaml does not exist"):
        run_here(train_net, "none.yaml")
    with pytest.raises(InputError, match=r"NO\.KEY"):
        run_here(train_net, config_file, "NO.KEY", "1")


def val_frame(datasets: Path, video: int, index: int) -> Path:
    folder = datasets / "moving_shapes/ILSVRC2015/Data/VID/val"
    return folder / f"moving_shapes_val_{video:04d}/{index:06d}.JPEG"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:400])


@pytest.mark.slow
def test_missing_frame_is_one_sentence(datasets: Path, config_file: str):
    val_frame(datasets, 1, 3).unlink()
    done = run(datasets, config_file, "--eval-only", "DATALOADER.NUM_WORKERS", "1")
    assert_one_sentence(done, "moving_shapes_val_0001/000003.JPEG", "does not exist")


@pytest.mark.slow
def test_truncated_frame_is_one_sentence(datasets: Path, config_file: str):
    truncate(val_frame(datasets, 1, 3))
    done = run(datasets, config_file, "--eval-only", "DATALOADER.NUM_WORKERS", "1")
    assert_one_sentence(done, "moving_shapes_val_0001/000003.JPEG", "cannot be read")


@pytest.mark.slow
def test_missing_frame_in_training_is_one_sentence(datasets: Path, config_file: str):
    for path in (datasets / "moving_shapes/ILSVRC2015/Data/VID/train").rglob("*.JPEG"):
        path.unlink()
    done = run(datasets, config_file, "DATALOADER.NUM_WORKERS", "1")
    assert_one_sentence(done, "moving_shapes_train_000", "does not exist")


@pytest.mark.slow
def test_wrong_line_of_a_list_is_one_sentence(datasets: Path, config_file: str):
    path = datasets / "moving_shapes/ILSVRC2015/ImageSets/VID_val_videos.txt"
    path.write_text(path.read_text() + "val/moving_shapes_val_0002 13\nval/a 1 2\n")
    done = run(datasets, config_file, "--eval-only")
    assert_one_sentence(done, "VID_val_videos.txt, line 4", "3 fields")


@pytest.mark.slow
def test_checkpoint_of_another_class_count_is_one_sentence(
    datasets: Path, config_file: str, tiny_cfg: CfgNode, tmp_path: Path
):
    path = tmp_path / "model.pth"
    torch.save({"model": build_model(tiny_cfg).state_dict()}, path)
    options = ["MODEL.WEIGHTS", str(path), "MODEL.ROI_HEADS.NUM_CLASSES", "3"]
    done = run(datasets, config_file, "--eval-only", *options)
    assert_one_sentence(done, "model.pth", "score_maps", "MODEL.ROI_HEADS.NUM_CLASSES")


def processes(number: int) -> list[str]:
    return ["--num-gpus", str(number), "--dist-url", "auto"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 4])
def test_processes_train_like_one(
    train_net: ModuleType, datasets: Path, config_file: str, tmp_path: Path, number: int
):
    options = [
        *("SOLVER.IMS_PER_BATCH", "4", "SOLVER.BASE_LR", "0.01", "TEST.EVAL_PERIOD", "0"),
        # All anchors count, so that none are drawn, and each image has as many RoIs as others.
        *("MODEL.RPN.BATCH_SIZE_PER_IMAGE", "1000", "MODEL.RFCN_HEAD.OHEM_ROIS", "16"),
    ]
    trained = {}
    for name in ("one", "several"):
        out = tmp_path / name
        if name == "one":
            run_here(train_net, config_file, *options, "OUTPUT_DIR", str(out))
        else:
            run_options = (*processes(number), *options, "OUTPUT_DIR", str(out))
            done = run(datasets, config_file, *run_options)
            assert done.returncode == 0, done.stderr
        trained[name] = torch.load(out / "model_final.pth", weights_only=False)["model"]
    for name, expected in trained["one"].items():
        torch.testing.assert_close(trained["several"][name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_processes_give_the_results_of_one(
    train_net: ModuleType, datasets: Path, config_file: str, tiny_cfg: CfgNode, tmp_path: Path
):
    """Of four processes two have no video; three find a corrupt frame."""
    corrupt = [(0, 1), (1, 0), (1, 5)]
    for video, index in corrupt:
        truncate(val_frame(datasets, video, index))
    path = tmp_path / "model.pth"
    torch.save({"model": build_model(tiny_cfg).state_dict()}, path)
    options = [
        *("--eval-only", "MODEL.WEIGHTS", str(path)),
        *("TEST.CORRUPT_FRAMES", "skip", "OUTPUT_DIR"),
    ]
    run_here(train_net, config_file, *options, str(tmp_path / "one"))
    several = (*processes(4), *options, str(tmp_path / "several"))
    done = run(datasets, config_file, *several)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "one" / "detections.txt").read_text()
    assert len({line.split()[0] for line in text.splitlines()}) == 2 * FRAMES - len(corrupt)
    for name in ("detections.txt", "results.json"):
        one, several = ((tmp_path / out / name).read_text() for out in ("one", "several"))
        assert several == one
    assert json.loads(several)["bbox"]["frames-left-out"] == len(corrupt)


@pytest.mark.slow
def test_error_in_one_of_two_processes_is_one_sentence(datasets: Path, config_file: str):
    val_frame(datasets, 1, 3).unlink()
    done = run(datasets, config_file, *processes(2), "--eval-only")
    assert_one_sentence(done, "moving_shapes_val_0001/000003.JPEG", "does not exist")
