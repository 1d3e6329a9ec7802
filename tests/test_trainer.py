"""Trainings that repeat themselves, on a few drawn frames: resumed, and with workers."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import HookBase
from detectron2.utils.env import seed_all_rng
from torch import nn

from fgfa.data import register_imagenet_vid
from fgfa.data.moving_shapes import MOVING_SHAPES_CLASSES, write_moving_shapes
from fgfa.errors import InputError
from fgfa.trainer import Trainer

DATASET = "tiny_train_of_trainer"
STEPS, INTERRUPTED = 4, 2


class Interruption(HookBase):
    def before_step(self) -> None:
        if self.trainer.iter == INTERRUPTED:
            raise InterruptedError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Six key frames of two registered videos."""
    root = write_moving_shapes(
        tmp_path_factory.mktemp("data"), train_videos=2, val_videos=0, frames=6, size=(64, 96)
    )
    register_imagenet_vid(
        DATASET,
        root / "ILSVRC2015",
        "VID_train_keyframes",
        class_names=MOVING_SHAPES_CLASSES,
        subset="VID",
        key_frames=True,
    )
    yield DATASET
    for catalog in (DatasetCatalog, MetadataCatalog):
        catalog.pop(DATASET)


@pytest.fixture
def cfg(tiny_cfg: CfgNode, dataset: str) -> CfgNode:
    tiny_cfg.merge_from_list(
        [
            *("DATASETS.TRAIN", (dataset,), "DATASETS.TEST", (), "DATALOADER.NUM_WORKERS", 0),
            *("SOLVER.IMS_PER_BATCH", 2, "SOLVER.MAX_ITER", STEPS, "SOLVER.BASE_LR", 1e-3),
            *("SOLVER.LR_SCHEDULER_NAME", "WarmupCosineLR", "SOLVER.WARMUP_ITERS", 2),
            *("SOLVER.CHECKPOINT_PERIOD", INTERRUPTED, "SEED", 1, "INPUT.COLOR_JITTER", 0.3),
            *("INPUT.MIN_SIZE_TRAIN", (64, 80), "INPUT.MAX_SIZE_TRAIN", 120),
            # Some of the anchors, so that the model draws them.
            *("MODEL.RPN.BATCH_SIZE_PER_IMAGE", 16),
        ]
    )
    return tiny_cfg


def make_trainer(cfg: CfgNode, out: Path, *options: object, model_seed: int = 0) -> Trainer:
    cfg = cfg.clone()
    cfg.merge_from_list(["OUTPUT_DIR", str(out), *options])
    out.mkdir(exist_ok=True)
    seed_all_rng(model_seed)
    return Trainer(cfg)


def train(trainer: Trainer, resume: bool = False) -> dict[str, object]:
    """What is left of a training: its last checkpoint, and all losses of it and before."""
    trainer.resume_or_load(resume=resume)
    trainer.train()
    states = torch.load(Path(trainer.cfg.OUTPUT_DIR) / "model_final.pth", weights_only=False)
    hooks = states["trainer"]["hooks"]
    assert states["iteration"] == STEPS - 1
    return {
        "model": states["model"],
        "optimizer": states["trainer"]["_trainer"]["optimizer"],
        "scheduler": hooks["LRScheduler"],
        "losses": {k: v for k, v in hooks["RecentMetrics"].items() if "loss" in k},
    }


def interrupt(trainer: Trainer) -> None:
    trainer.register_hooks([Interruption()])
    trainer.resume_or_load(resume=False)
    with pytest.raises(InterruptedError):
        trainer.train()


def assert_equal(found: object, expected: object) -> None:
    """Equal to the bit."""
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_equal(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_equal(*pair)
    else:
        assert found == expected


@pytest.mark.parametrize(
    "options",
    [
        ("SOLVER.OPTIMIZER", "AdamW"),
        ("MODEL.META_ARCHITECTURE", "GeneralizedRCNN", "SOLVER.GRADIENT_ACCUMULATION", 2),
    ],
)
def test_resumed_training_with_workers_equals_one_without(
    cfg: CfgNode, tmp_path: Path, options: tuple[object, ...]
):
    expected = train(make_trainer(cfg, tmp_path / "a", *options))
    assert len(expected["losses"]["total_loss"]) == STEPS
    workers = (*options, "DATALOADER.NUM_WORKERS")
    interrupt(make_trainer(cfg, tmp_path / "b", *workers, 2))
    resumed = make_trainer(cfg, tmp_path / "b", *workers, 1, model_seed=5)
    assert_equal(train(resumed, resume=True), expected)


def test_training_that_lacks_only_its_last_file_writes_it(cfg: CfgNode, tmp_path: Path):
    cfg.SOLVER.CHECKPOINT_PERIOD = 1
    expected = train(make_trainer(cfg, tmp_path))
    (tmp_path / "model_final.pth").unlink()
    (tmp_path / "last_checkpoint").write_text(f"model_{STEPS - 1:07d}.pth")
    resumed = make_trainer(cfg, tmp_path, model_seed=5)
    assert_equal(train(resumed, resume=True), expected)


class Signals(HookBase):
    """Sends a signal in the middle of a step."""

    def __init__(self, number: int) -> None:
        self.number = number

    def before_step(self) -> None:
        if self.trainer.iter == 1:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_behind_the_step_and_nothing_is_lost(cfg: CfgNode, tmp_path: Path, number):
    cfg.SOLVER.CHECKPOINT_PERIOD = 100
    expected = train(make_trainer(cfg, tmp_path / "a"))
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    stopped = make_trainer(cfg, tmp_path / "b", "DATALOADER.NUM_WORKERS", 1)
    stopped.register_hooks([Signals(number)])
    stopped.resume_or_load(resume=False)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert (tmp_path / "b" / "last_checkpoint").read_text() == "model_0000001.pth"
    assert_equal(train(make_trainer(cfg, tmp_path / "b", model_seed=5), resume=True), expected)


def test_training_without_a_seed_is_resumed_with_its_own(cfg: CfgNode, tmp_path: Path):
    first = make_trainer(cfg, tmp_path, "SEED", -1)
    interrupt(first)
    results = []
    for model_seed in (1, 2):
        resumed = make_trainer(cfg, tmp_path, "SEED", -1, model_seed=model_seed)
        assert resumed._trainer.seed != first._trainer.seed
        (tmp_path / "last_checkpoint").write_text(f"model_{INTERRUPTED - 1:07d}.pth")
        results.append(train(resumed, resume=True))
        assert resumed._trainer.seed == first._trainer.seed
    assert_equal(*results)


def test_another_seed_gives_another_training(cfg: CfgNode, tmp_path: Path):
    losses = [train(make_trainer(cfg, tmp_path, "SEED", seed))["losses"] for seed in (1, 2)]
    assert losses[0]["total_loss"] != losses[1]["total_loss"]


def test_mixed_precision_trains_on_a_cpu(cfg: CfgNode, tmp_path: Path):
    exact, mixed = (
        first_loss(make_trainer(cfg, tmp_path, "SOLVER.AMP.ENABLED", enabled))
        for enabled in (False, True)
    )
    assert exact != mixed
    assert exact == pytest.approx(mixed, rel=0.2)


def first_loss(trainer: Trainer) -> float:
    trainer.max_iter = 1
    trainer.train()
    return trainer.storage.history("total_loss").latest()


def test_frozen_parts_are_left_and_the_others_learn(cfg: CfgNode, tmp_path: Path):
    trainer = make_trainer(cfg, tmp_path, "MODEL.FROZEN_PARTS", ["backbone", "flow_net"])
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    after = train(trainer)["model"]
    moved = {name.partition(".")[0] for name in before if not before[name].equal(after[name])}
    assert moved == {"embedding", "proposal_generator", "roi_heads"}


def test_wrong_accumulation_is_one_sentence(cfg: CfgNode, tmp_path: Path):
    with pytest.raises(InputError, match=r"SOLVER\.GRADIENT_ACCUMULATION is 0"):
        make_trainer(cfg, tmp_path, "SOLVER.GRADIENT_ACCUMULATION", 0)


def test_two_batches_have_the_gradient_of_one_of_both(cfg: CfgNode, tmp_path: Path):
    """Every anchor and RoI is learned from, so that nothing is drawn."""
    options = ["MODEL.RPN.BATCH_SIZE_PER_IMAGE", 10**5, "MODEL.RPN.POSITIVE_FRACTION", 1.0]
    options += ["INPUT.MIN_SIZE_TRAIN", (64,), "SOLVER.MAX_ITER", 1]
    gradients = []
    for images, batches in ((4, 1), (2, 2)):
        counts = ("SOLVER.IMS_PER_BATCH", images, "SOLVER.GRADIENT_ACCUMULATION", batches)
        trainer = make_trainer(cfg, tmp_path, *options, *counts)
        trainer.resume_or_load(resume=False)
        trainer.train()
        gradients.append(gradients_of(trainer.model))
    assert len(gradients[0]) > 20
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-3, msg=name)


def gradients_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
