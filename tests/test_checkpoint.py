"""Checkpoints: flow network, class counts, channel order, broken files, and saving."""

import logging
import pickle
import resource
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn

from fgfa.checkpoint import FGFACheckpointer
from fgfa.errors import InputError

WARNING = "THE FLOW NETWORK HAS RANDOM WEIGHTS"


def save_model(cfg: CfgNode, path: Path, value: float) -> str:
    """Writes a checkpoint whose parameters all have one value."""
    model = build_model(cfg)
    for parameter in model.parameters():
        nn.init.constant_(parameter, value)
    torch.save({"model": model.state_dict()}, path)
    return str(path)


def save_flow(cfg: CfgNode, path: Path, value: float) -> str:
    flow_net = build_model(cfg).flow_net
    for parameter in flow_net.parameters():
        nn.init.constant_(parameter, value)
    torch.save({"model": flow_net.state_dict()}, path)
    return str(path)


def single_frame(cfg: CfgNode) -> CfgNode:
    cfg = cfg.clone()
    cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    return cfg


def load(cfg: CfgNode, path: str, for_training: bool = False) -> nn.Module:
    model = build_model(cfg)
    FGFACheckpointer(model, cfg, for_training=for_training).load(path)
    return model


def value_of(module: nn.Module) -> float:
    (value,) = {p.mean().item() for p in module.parameters()}
    return value


def test_flow_weights_join_a_single_frame_checkpoint(
    tiny_cfg: CfgNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = save_model(single_frame(tiny_cfg), tmp_path / "single.pth", 0.5)
    tiny_cfg.MODEL.FLOW_NET.WEIGHTS = save_flow(tiny_cfg, tmp_path / "flow.pth", 0.25)
    model = load(tiny_cfg, path)
    assert value_of(model.flow_net) == 0.25
    assert value_of(model.roi_heads) == 0.5
    assert WARNING not in caplog.text


def test_flow_weights_are_loaded_without_another_checkpoint(
    tiny_cfg: CfgNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tiny_cfg.MODEL.FLOW_NET.WEIGHTS = save_flow(tiny_cfg, tmp_path / "flow.pth", 0.25)
    assert value_of(load(tiny_cfg, "").flow_net) == 0.25
    assert WARNING not in caplog.text


def test_flow_network_of_a_full_checkpoint_wins(
    tiny_cfg: CfgNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = save_model(tiny_cfg, tmp_path / "full.pth", 0.5)
    assert value_of(load(tiny_cfg, path).flow_net) == 0.5
    tiny_cfg.MODEL.FLOW_NET.WEIGHTS = save_flow(tiny_cfg, tmp_path / "flow.pth", 0.25)
    assert value_of(load(tiny_cfg, path).flow_net) == 0.5
    assert WARNING not in caplog.text


@pytest.mark.parametrize("with_checkpoint", [False, True])
def test_random_flow_network_is_a_loud_warning(
    with_checkpoint: bool, tiny_cfg: CfgNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = save_model(single_frame(tiny_cfg), tmp_path / "a.pth", 0.5) if with_checkpoint else ""
    load(tiny_cfg, path)
    (record,) = (record for record in caplog.records if WARNING in record.message)
    assert record.levelno == logging.WARNING


def test_single_frame_model_needs_no_flow_network(
    tiny_cfg: CfgNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = save_model(tiny_cfg, tmp_path / "full.pth", 0.5)
    cfg = single_frame(tiny_cfg)
    cfg.MODEL.FLOW_NET.WEIGHTS = "not_read.pth"
    assert value_of(load(cfg, path).roi_heads) == 0.5
    load(cfg, "")
    assert WARNING not in caplog.text


def test_flow_weights_of_another_width_are_one_sentence(tiny_cfg: CfgNode, tmp_path: Path):
    path = save_flow(tiny_cfg, tmp_path / "flow.pth", 0.25)
    tiny_cfg.MODEL.FLOW_NET.WEIGHTS = path
    tiny_cfg.MODEL.FLOW_NET.WIDTH = 0.1
    with pytest.raises(InputError, match=r"flow\.pth .*conv1.weight.*MODEL.FLOW_NET.WIDTH"):
        load(tiny_cfg, "", for_training=True)


def test_another_class_count_is_one_sentence_in_evaluation(tiny_cfg: CfgNode, tmp_path: Path):
    path = save_model(tiny_cfg, tmp_path / "full.pth", 0.5)
    tiny_cfg.MODEL.ROI_HEADS.NUM_CLASSES = 3
    with pytest.raises(InputError, match=r"score_maps.*\(54, .*\(36, .*NUM_CLASSES"):
        load(tiny_cfg, path)


def test_another_class_count_is_a_start_of_training(tiny_cfg: CfgNode, tmp_path: Path):
    path = save_model(tiny_cfg, tmp_path / "full.pth", 0.5)
    tiny_cfg.MODEL.ROI_HEADS.NUM_CLASSES = 3
    model = load(tiny_cfg, path, for_training=True)
    assert value_of(model.roi_heads.delta_maps) == 0.5
    assert model.roi_heads.score_maps.weight.std() > 0


def test_missing_files_are_one_sentence(tiny_cfg: CfgNode, tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.pth \(MODEL.WEIGHTS\) does not exist"):
        load(tiny_cfg, str(tmp_path / "none.pth"))
    tiny_cfg.MODEL.FLOW_NET.WEIGHTS = str(tmp_path / "none.pth")
    with pytest.raises(InputError, match=r"none\.pth \(MODEL.FLOW_NET.WEIGHTS\) does not exist"):
        load(tiny_cfg, "")


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
@pytest.mark.parametrize("suffix", [".pth", ".pkl"])
def test_broken_files_are_one_sentence(damage: str, suffix: str, tiny_cfg: CfgNode, tmp_path: Path):
    path = tmp_path / f"broken{suffix}"
    save_model(tiny_cfg, path, 0.5)
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[: len(whole) // 2], "garbage": b"no weights", "empty": b""}[damage]
    )
    with pytest.raises(InputError, match=r"broken\.p.* \(MODEL.WEIGHTS\) is broken") as error:
        load(tiny_cfg, str(path))
    assert "\n" not in str(error.value)
    if suffix == ".pth":
        tiny_cfg.MODEL.FLOW_NET.WEIGHTS = str(path)
        with pytest.raises(InputError, match=r"\(MODEL.FLOW_NET.WEIGHTS\) is broken"):
            load(tiny_cfg, "")


def test_file_that_cannot_be_fetched_is_one_sentence(
    tiny_cfg: CfgNode, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(
        "detectron2.checkpoint.detection_checkpoint.PathManager.get_local_path", fail
    )
    with pytest.raises(InputError, match=r"R-50\.pkl .*cannot be fetched or read .no network"):
        load(tiny_cfg, "detectron2://ImageNetPretrained/MSRA/R-50.pkl")


@pytest.mark.parametrize(
    ("folder", "image_format", "is_flipped"),
    [
        ("ImageNetPretrained/MSRA", "RGB", True),
        ("ImageNetPretrained/MSRA", "BGR", False),
        ("ImageNetPretrained/torchvision", "RGB", False),
    ],
)
def test_bgr_backbones_of_the_zoo_are_turned(
    folder: str, image_format: str, is_flipped: bool, tiny_cfg: CfgNode, tmp_path: Path
):
    tiny_cfg.merge_from_list(
        [
            *("MODEL.BACKBONE.NAME", "build_dilated_resnet_backbone", "MODEL.RESNETS.DEPTH", 50),
            *("MODEL.RESNETS.STEM_OUT_CHANNELS", 8, "MODEL.RESNETS.RES2_OUT_CHANNELS", 16),
            *("MODEL.RESNETS.WIDTH_PER_GROUP", 4, "INPUT.FORMAT", image_format),
        ]
    )
    path = tmp_path / folder / "R-50.pkl"
    path.parent.mkdir(parents=True)
    stem = torch.arange(8 * 3 * 49, dtype=torch.float32).view(8, 3, 7, 7)
    model = {"stem.conv1.weight": stem.numpy()}
    zoo = {"model": model, "__author__": "Detectron2", "matching_heuristics": True}
    path.write_bytes(pickle.dumps(zoo))
    loaded = dict(load(tiny_cfg, str(path), for_training=True).named_parameters())
    (weight,) = (value for name, value in loaded.items() if name.endswith("stem.conv1.weight"))
    assert torch.equal(weight, stem.flip(1) if is_flipped else stem)


def test_saved_checkpoint_is_complete_and_tagged(tiny_cfg: CfgNode, tmp_path: Path):
    cfg = single_frame(tiny_cfg)
    model, head = build_model(cfg), nn.Linear(1, 1)
    checkpointer = FGFACheckpointer(model, cfg, str(tmp_path), head=head)
    checkpointer.save("model_0000001", iteration=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "last_checkpoint",
        "model_0000001.pth",
    ]
    assert checkpointer.get_checkpoint_file() == str(tmp_path / "model_0000001.pth")
    other, other_head = build_model(cfg), nn.Linear(1, 1)
    resumed = FGFACheckpointer(other, cfg, str(tmp_path), head=other_head)
    assert resumed.resume_or_load("", resume=True)["iteration"] == 1
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
    assert torch.equal(head.weight, other_head.weight)


def test_failed_save_leaves_the_last_checkpoint(
    tiny_cfg: CfgNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cfg = single_frame(tiny_cfg)
    checkpointer = FGFACheckpointer(build_model(cfg), cfg, str(tmp_path))
    checkpointer.save("first")

    def fail(_states: dict, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpointer.save("second")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.pth", "last_checkpoint"]
    assert checkpointer.get_checkpoint_file() == str(tmp_path / "first.pth")


def test_full_disk_is_one_sentence(tiny_cfg: CfgNode, tmp_path: Path):
    cfg = single_frame(tiny_cfg)
    checkpointer = FGFACheckpointer(build_model(cfg), cfg, str(tmp_path))
    checkpointer.save("first")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"second\.pth cannot be written \(.* MB are free"):
            checkpointer.save("second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.pth", "last_checkpoint"]
    assert checkpointer.get_checkpoint_file() == str(tmp_path / "first.pth")


def test_nothing_is_saved_without_a_folder(tiny_cfg: CfgNode, tmp_path: Path):
    cfg = single_frame(tiny_cfg)
    FGFACheckpointer(build_model(cfg), cfg).save("model")
    checkpointer = FGFACheckpointer(build_model(cfg), cfg, str(tmp_path), save_to_disk=False)
    checkpointer.save("model")
    assert list(tmp_path.iterdir()) == []
