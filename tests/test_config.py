"""The configs that come with the project, and the config of a command line."""

import argparse
import logging
from pathlib import Path

import pytest
from detectron2.config import CfgNode
from detectron2.modeling import GeneralizedRCNN, build_model
from iopath.common.file_io import HTTPURLHandler

from fgfa.config import (
    add_opts_argument,
    add_threshold_argument,
    load_config,
    with_raw_boxes,
)
from fgfa.errors import InputError
from fgfa.modeling import FGFA

CONFIGS = Path(__file__).parents[1] / "configs"
LEAVES = sorted(path for path in CONFIGS.glob("*/*.yaml") if not path.stem.startswith("Base-"))
FAITHFUL = str(CONFIGS / "imagenet_vid" / "fgfa_rfcn_R_101.yaml")


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_config_builds_its_model(path: Path):
    cfg = load_config(str(path), ["MODEL.DEVICE", "cpu"])
    model = build_model(cfg)
    assert isinstance(model, GeneralizedRCNN)
    assert isinstance(model, FGFA) == ("fgfa" in path.stem)
    assert type(model).__name__ == cfg.MODEL.META_ARCHITECTURE
    (feature,) = model.backbone.output_shape().values()
    assert feature.stride == 16
    assert type(model.roi_heads).__name__ == cfg.MODEL.ROI_HEADS.NAME


def test_every_folder_compares_fgfa_with_a_single_frame_model():
    for folder in {path.parent for path in LEAVES}:
        kinds = {"fgfa" in path.stem for path in LEAVES if path.parent == folder}
        assert kinds == {True, False}, folder


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("INPUT.FORMAT", "RGB"),
        ("INPUT.MIN_SIZE_TRAIN", (600,)),
        ("INPUT.MAX_SIZE_TRAIN", 1000),
        ("INPUT.MIN_SIZE_TEST", 600),
        ("INPUT.MAX_SIZE_TEST", 1000),
        ("INPUT.COLOR_JITTER", 0.0),
        ("INPUT.RESIZE_BY_FACTOR", True),
        ("MODEL.PIXEL_MEAN", [123.15, 115.90, 103.06]),
        ("MODEL.PIXEL_STD", [1.0, 1.0, 1.0]),
        ("MODEL.RESNETS.DEPTH", 101),
        ("MODEL.RESNETS.NORM", "FrozenBN"),
        ("MODEL.RESNETS.BN_EPS", 2e-5),
        ("MODEL.RESNETS.STRIDE_IN_1X1", True),
        ("MODEL.RESNETS.RES5_DILATION", 2),
        ("MODEL.BACKBONE.FREEZE_AT", 2),
        ("MODEL.FEATURE_CONV.OUT_CHANNELS", 1024),
        ("MODEL.FEATURE_CONV.DILATION", 6),
        ("MODEL.FLOW_NET.NAME", "FlowNetS"),
        ("MODEL.FLOW_NET.WIDTH", 1.0),
        ("MODEL.FROZEN_PARTS", []),
        ("MODEL.FGFA.TRAIN_OFFSET_WEIGHTS", []),
        ("SOLVER.LR_FACTORS", []),
        ("SOLVER.GRADIENT_ACCUMULATION", 1),
        ("MODEL.FGFA.EMBEDDING_CHANNELS", [512, 512, 2048]),
        ("MODEL.FGFA.TEST_RADIUS", 9),
        ("MODEL.FGFA.TRAIN_RADIUS", 9),
        ("MODEL.FGFA.TRAIN_NEIGHBORS", 2),
        ("MODEL.ANCHOR_GENERATOR.NAME", "LegacyAnchorGenerator"),
        ("MODEL.PROPOSAL_GENERATOR.NAME", "LegacyRPN"),
        ("MODEL.ROI_HEADS.NAME", "LegacyRFCNROIHeads"),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[128, 256, 512]]),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[0.5, 1.0, 2.0]]),
        ("MODEL.RPN.BBOX_REG_WEIGHTS", (10.0, 10.0, 2.5, 2.5)),
        ("MODEL.RPN.PRE_NMS_TOPK_TEST", 6000),
        ("MODEL.RPN.POST_NMS_TOPK_TEST", 300),
        ("MODEL.RPN.NMS_THRESH", 0.7),
        ("MODEL.RFCN_HEAD.GRID_SIZE", 7),
        ("MODEL.RFCN_HEAD.OHEM_ROIS", 128),
        ("MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS", (10.0, 10.0, 5.0, 5.0)),
        ("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True),
        ("MODEL.ROI_HEADS.NUM_CLASSES", 30),
        ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.001),
        ("MODEL.ROI_HEADS.NMS_THRESH_TEST", 0.3),
        ("TEST.DETECTIONS_PER_IMAGE", 300),
        ("TEST.SEQ_NMS.ENABLED", False),
        ("TEST.SEQ_NMS.SAVE_RAW_BOXES", False),
        ("SOLVER.MOMENTUM", 0.9),
        ("SOLVER.WEIGHT_DECAY", 5e-4),
        ("SOLVER.WEIGHT_DECAY_NORM", 5e-4),
        ("SOLVER.WEIGHT_DECAY_BIAS", 0.0),
        ("SOLVER.GAMMA", 0.1),
        ("DATASETS.TRAIN", ("imagenet_det_30classes_train", "imagenet_vid_train_15frames")),
        ("DATASETS.TEST", ("imagenet_vid_val",)),
    ],
)
def test_defaults_are_the_original(key: str, value: object):
    node = load_config(FAITHFUL)
    for part in key.split("."):
        node = getattr(node, part)
    assert node == value


def test_schedule_is_the_original():
    solver = load_config(FAITHFUL).SOLVER
    # Of one image: MXNetSGD sums the gradients of the images of a batch.
    assert (solver.OPTIMIZER, solver.BASE_LR, solver.IMS_PER_BATCH) == ("MXNetSGD", 2.5e-4, 4)
    iterations_per_epoch = (53639 + 57834) * 2 / solver.IMS_PER_BATCH
    assert pytest.approx(2 * iterations_per_epoch, abs=1) == solver.MAX_ITER
    assert (pytest.approx(1.333 * iterations_per_epoch, abs=50),) == solver.STEPS


def test_opts_take_the_rest_of_a_command_line():
    parser = argparse.ArgumentParser()
    add_opts_argument(parser)
    assert parser.parse_args([]).opts == []
    rest = ["MODEL.WEIGHTS", "model.pth", "--opts"]
    assert parser.parse_args(["--opts", *rest]).opts == rest


def test_options_win():
    assert load_config(FAITHFUL, ["MODEL.FGFA.TEST_RADIUS", "3"]).MODEL.FGFA.TEST_RADIUS == 3


@pytest.mark.parametrize(
    ("opts", "sentence"),
    [
        (["NO.KEY", "1"], "NO.KEY 1.*Non-existent key: NO.KEY"),
        (["MODEL.FGFA.TEST_RADIUS", "wide"], "TEST_RADIUS"),
        (["MODEL.FGFA.TEST_RADIUS"], "odd length"),
    ],
)
def test_bad_option_is_one_sentence(opts: list[str], sentence: str):
    with pytest.raises(InputError, match=sentence) as error:
        load_config(FAITHFUL, opts)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("MODEL: [", "config .*bad.yaml cannot be used"),
        ("hello", "config .*bad.yaml cannot be used: .*bad.yaml has no keys with values"),
        ("", "config .*bad.yaml cannot be used: .*bad.yaml has no keys with values"),
        ("MODEL: {FGFA: {RADIUS: 9}}", "Non-existent config key: MODEL.FGFA.RADIUS"),
        ("MODEL: {FGFA: {TEST_RADIUS: wide}}", "TEST_RADIUS"),
        ("_BASE_: none.yaml", "its _BASE_ .*/none.yaml is not a file on this machine"),
        ("_BASE_: /dev/zero", "its _BASE_ /dev/zero is not a file"),
    ],
)
def test_bad_file_is_one_sentence(text: str, sentence: str, tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as error:
        load_config(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["_BASE_: {}", "_BASE_: [a.yaml, '{}']", "<<: {{_BASE_: {}}}"])
@pytest.mark.parametrize(
    "url", ["http://host/b.yaml", "https://host/b.yaml", "detectron2://b.yaml"]
)
@pytest.mark.parametrize("leaf", ["near.yaml", "far.yaml"])
def test_base_is_not_downloaded(
    text: str, url: str, leaf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fetched = []
    monkeypatch.setattr(HTTPURLHandler, "_get_local_path", lambda *args, **_: fetched.append(args))
    # To a path with a folder Detectron2 would join detectron2://.
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("SEED: 1")
    Path("near.yaml").write_text(text.format(url))
    Path("far.yaml").write_text("_BASE_: near.yaml")
    with pytest.raises(InputError, match=rf"config {leaf} .* its _BASE_ {url} is not a file"):
        load_config(leaf)
    assert not fetched


@pytest.mark.parametrize("path", ["none.yaml", ""])
def test_missing_file_is_one_sentence(path: str):
    with pytest.raises(InputError, match=f"config {path} does not exist"):
        load_config(path)


@pytest.mark.parametrize(("has_gpu", "device"), [(True, "cuda"), (False, "cpu")])
def test_device_is_the_cpu_where_there_is_no_gpu(
    has_gpu: bool,
    device: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: has_gpu)
    with caplog.at_level(logging.WARNING, logger="fgfa"):
        assert device == load_config(FAITHFUL).MODEL.DEVICE
    assert ("No GPU" in caplog.text) is not has_gpu


def test_chosen_cpu_is_no_warning(caplog: pytest.LogCaptureFixture):
    load_config(FAITHFUL, ["MODEL.DEVICE", "cpu"])
    assert caplog.text == ""


def test_raw_boxes_leave_the_config_as_it_is(tiny_cfg: CfgNode):
    tiny_cfg.freeze()
    raw = with_raw_boxes(tiny_cfg)
    assert (raw.MODEL.ROI_HEADS.NMS_THRESH_TEST, raw.TEST.DETECTIONS_PER_IMAGE) == (1.0, -1)
    assert tiny_cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST == 0.3
    assert raw.is_frozen()


@pytest.mark.parametrize("score", ["50", "-0.1", "nan", "high"])
def test_threshold_that_is_no_score(score: str, capsys):
    parser = argparse.ArgumentParser()
    add_threshold_argument(parser)
    assert parser.parse_args(["--confidence-threshold", "0.25"]).confidence_threshold == 0.25
    with pytest.raises(SystemExit):
        parser.parse_args(["--confidence-threshold", score])
    assert f"{score} is not a score, which is 0 to 1" in capsys.readouterr().err
