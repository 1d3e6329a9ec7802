r"""One step of FGFA's training, part by part, with and without kept activations.

    python scripts/benchmark.py training
    python scripts/benchmark.py training --size 320 569 --batch 4 \
        --config-file configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml \
        --checkpointed backbone.body.stages

Key frames, each with the neighbors of the config, go forward and backward, and the optimizer takes
a step. The model is that of the config, and the same with --checkpointed parts computed again in
the backward pass; both train in turns. Weights and frames are random. In the table:

    ms, median   least and median time of the runs
    share        of the step, by the medians
    MB           most memory of a process that does nothing else, with code, weights, gradients and
                 the optimizer's state, or on a GPU that of tensors
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from tabulate import tabulate
from torch import Tensor, nn

from benchmarking.measuring import (
    chosen_device,
    held_bytes,
    in_new_process,
    seconds_of,
    threads_restored,
    time_alternately,
)
from benchmarking.model_parts import PARTS, PartMeter, clock
from benchmarking.steady_video import set_going
from benchmarking.workloads import moving_blobs, random_boxes
from fgfa.config import add_opts_argument, load_config
from fgfa.trainer import Trainer

_OBJECTS = 4  # in a key frame
BACKWARD, OPTIMIZER, STEP = "backward pass", "optimizer", "step"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config-file",
        metavar="FILE",
        default="configs/imagenet_vid/fgfa_rfcn_R_101.yaml",
        help="of an FGFA model (default: %(default)s)",
    )
    parser.add_argument("--size", type=int, nargs=2, default=[600, 1000], metavar="PIXELS")
    parser.add_argument("--batch", type=int, default=1, help="key frames (default: 1)")
    parser.add_argument(
        "--checkpointed",
        nargs="+",
        default=[f"backbone.body.res{stage}" for stage in (3, 4, 5)],
        metavar="PART",
        help="MODEL.CHECKPOINTED_PARTS of the second model (default: those of a ResNet)",
    )
    threads = torch.get_num_threads()
    parser.add_argument("--threads", type=int, default=threads, help=f"default: {threads}")
    parser.add_argument("--repeat", type=int, default=3, help="steps of each (default: 3)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    add_opts_argument(parser, "config keys and values, behind all other options")


@dataclass(frozen=True)
class StepFigures:
    """Figures of a step of training."""

    seconds: dict[str, list[float]]  # of each run, by part; of the whole as `STEP`
    peak_bytes: int | None  # None where it is not known


class TrainingStep:
    """A model that takes the same step of training again and again."""

    def __init__(self, cfg: CfgNode, size: tuple[int, int], batch: int) -> None:
        """
        Args:
            cfg: of an FGFA model.
            size: height and width of the frames, pixels.
            batch: key frames of a step.
        """
        torch.manual_seed(0)
        self._device = torch.device(cfg.MODEL.DEVICE)
        self._model = Trainer.build_model(cfg)
        set_going(self._model)
        self._optimizer = Trainer.build_optimizer(cfg, self._model)
        self._batch = [_training_input(cfg, size) for _ in range(batch)]
        self._meter = PartMeter(self._model, clock(self._device))
        self._others: dict[str, list[float]] = {BACKWARD: [], OPTIMIZER: []}

    def parameters(self) -> Iterator[nn.Parameter]:
        """What the step changes."""
        return self._model.parameters()

    def run(self) -> None:
        """Takes a step, and keeps its times."""
        self._optimizer.zero_grad()
        with EventStorage(), self._meter.measuring():
            loss: Tensor = sum(self._model(self._batch).values())
        for part, function in ((BACKWARD, loss.backward), (OPTIMIZER, self._optimizer.step)):
            self._others[part].append(seconds_of(function, self._device))

    def seconds(self, skipped: int) -> dict[str, list[float]]:
        """Seconds of each part in each run but the first ones."""
        parts = self._meter.totals() | self._others
        parts = {name: runs[skipped:] for name, runs in parts.items() if any(runs)}
        return parts | {STEP: [sum(run) for run in zip(*parts.values(), strict=True)]}


def run(args: argparse.Namespace) -> dict[str, object]:
    """Measures and prints; returns all figures for JSON."""
    device = chosen_device(args.device)
    options = {"kept": (), "computed again": tuple(args.checkpointed)}
    peaks = {name: in_new_process(peak_bytes, args, parts) for name, parts in options.items()}
    with threads_restored():
        torch.set_num_threads(args.threads)
        steps = {name: _step(args, parts) for name, parts in options.items()}
        runs: dict[str, Callable[[], None]] = {name: step.run for name, step in steps.items()}
        for warm_up in runs.values():
            warm_up()
        time_alternately(runs, [args.threads], args.repeat, device, "steps")
    figures = {name: StepFigures(step.seconds(1), peaks[name]) for name, step in steps.items()}
    size = " x ".join(map(str, args.size))
    print(f"{Path(args.config_file).stem}, {args.batch} x {size}, {args.threads} threads")
    print(step_table(figures))
    return {"cases": {name: asdict(case) for name, case in figures.items()}}


def peak_bytes(args: argparse.Namespace, checkpointed: tuple[str, ...]) -> int | None:
    """The most memory that two steps take; to be called in a process that does nothing else."""
    torch.set_num_threads(args.threads)
    step = _step(args, checkpointed)
    step.run()
    step.run()  # the optimizer has its state
    held = held_bytes(torch.device(args.device))
    return held and held[1]


def step_table(figures: dict[str, StepFigures]) -> str:
    """Returns a row for each part, one for the step, and one for memory."""
    kept, again = figures.values()
    rows = [
        [
            name,
            *_times(kept.seconds[name]),
            f"{median(kept.seconds[name]) / median(kept.seconds[STEP]):.1%}",
            *_times(again.seconds[name]),
        ]
        for name in (*PARTS, BACKWARD, OPTIMIZER, STEP)
        if name in kept.seconds
    ]
    if kept.peak_bytes is not None:
        peaks = (f"{case.peak_bytes / 1e6:.0f}" for case in (kept, again))
        rows.append(["MB", next(peaks), "", "", next(peaks)])
    headers = ["", "ms", "median", "share", "computed again\nms", "\nmedian"]
    return tabulate(rows, headers, disable_numparse=True, stralign="right")


def _step(args: argparse.Namespace, checkpointed: tuple[str, ...]) -> TrainingStep:
    # Random weights would not stand the steps of a real rate for long.
    options = (*args.opts, "MODEL.DEVICE", args.device, "SOLVER.BASE_LR", "1e-6")
    parts = ("MODEL.CHECKPOINTED_PARTS", str(list(checkpointed)))
    cfg = load_config(args.config_file, [*options, *parts])
    return TrainingStep(cfg, tuple(args.size), args.batch)


def _training_input(cfg: CfgNode, size: tuple[int, int]) -> dict:
    frames = moving_blobs(size)
    boxes = random_boxes(_OBJECTS, size)[:, 1:]
    classes = torch.arange(_OBJECTS) % cfg.MODEL.ROI_HEADS.NUM_CLASSES
    return {
        "image": next(frames),
        "neighbors": [next(frames) for _ in range(cfg.MODEL.FGFA.TRAIN_NEIGHBORS)],
        "instances": Instances(size, gt_boxes=Boxes(boxes), gt_classes=classes),
    }


def _times(seconds: list[float]) -> tuple[str, str]:
    return f"{1e3 * min(seconds):.1f}", f"{1e3 * median(seconds):.1f}"
