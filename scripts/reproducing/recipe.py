"""What a table is made of: its rows, and the commands that train and evaluate them.

A single-frame detector is trained, the base. From it all rows are trained alike, with the schedule
of the FGFA config; the single-frame row as well, so that no row learns longer than another. A flow
network that learns is pretrained before.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from detectron2.config import CfgNode

from fgfa.config import load_config
from fgfa.evaluation.resumable import UNFINISHED
from reproducing.rows import FGFA, Row
from reproducing.steps import ROOT, Step, no_resume
from reproducing.video_sets import VideoSet

RADII = (0, 1, 2, 4, 6, 9)  # paper, table 3

RAW_BOXES = ("TEST.SEQ_NMS.ENABLED", "True", "TEST.SEQ_NMS.SAVE_RAW_BOXES", "True")


@dataclass(frozen=True)
class Settings:
    """What the command line says.

    Attributes:
        output: folder of all results, relative to the repository or absolute, as all paths here.
        datasets: folder of data sets; None to draw the data set into the output.
        seeds: one run of all rows each.
        num_gpus: processes of `train_net.py`.
        motion_iou: the official file, or "" to compute motion IoU from track ids.
        flow_iterations: of the flow network, where they are not those of the recipe.
        opts: config keys and values for all runs of `train_net.py`.
    """

    output: Path
    datasets: Path | None
    seeds: Sequence[int]
    num_gpus: int = 1
    motion_iou: str = ""
    flow_iterations: int | None = None
    opts: Sequence[str] = field(default_factory=tuple)


class Recipe:
    """The steps of a table: `train_net.py` for rows, seeds and radii, and what it needs."""

    def __init__(self, video_set: VideoSet, settings: Settings) -> None:
        """
        Raises:
            InputError: the options do not fit the config.
        """
        self.video_set = video_set
        self.settings = settings
        self.datasets = settings.datasets or settings.output / "data"

    @property
    def cfg(self) -> CfgNode:
        """The config of FGFA with the options of the command line."""
        return self._row_cfg(FGFA)

    @functools.cached_property
    def data(self) -> Step | None:
        """Draws the data set, None where it is there."""
        if self.settings.datasets is not None:
            return None
        program, *options = self.video_set.drawn_by
        return Step(
            "drawing the data set",
            (program, "--output", str(self.datasets), *options),
            self.datasets,
        )

    def flow(self, seed: int) -> Step:
        """Pretrains the flow network and measures it."""
        own = self.video_set.flow_per_seed
        weights = self.flow_weights(seed)
        iterations = self.settings.flow_iterations
        arguments = (
            *("scripts/pretrain_flow.py", "--images", f"{self.video_set.name}_train"),
            *("--output", str(weights)),
            *("--width", str(self._flow_width()), *self.video_set.flow),
            *(() if iterations is None else ("--iterations", str(iterations))),
            # That of all seeds is the same whichever of them are run.
            *("--seed", str(seed if own else self.video_set.seeds[0])),
        )
        name = f"seed {seed}: training the flow network" if own else "training the flow network"
        resume = functools.partial(_flow_options, ROOT / weights)
        return self._step(name, arguments, weights.parent, self._after_data, resume)

    def flow_weights(self, seed: int) -> Path:
        """The flow network; its errors are beside it, as JSON."""
        own = self.video_set.flow_per_seed
        folder = self._seed_folder(seed) if own else self.settings.output
        return folder / "flow" / "flow.pth"

    def base(self, seed: int) -> Step:
        """Trains the single-frame detector."""
        return self._train("base", self.video_set.base_config, seed, (), self._after_data)

    def train(self, row: Row, seed: int) -> Step:
        """Trains a row, or the one whose weights it takes."""
        if row.weights_of:
            return self.train(self._named(row.weights_of), seed)
        start = self._start(row, seed)
        options = (*row.options, "MODEL.WEIGHTS", str(start.folder / "model_final.pth"))
        after = (*self._after_data, start)
        if self._learns_flow(row):
            options = (*options, "MODEL.FLOW_NET.WEIGHTS", str(self.flow_weights(seed)))
            after = (*after, self.flow(seed))
        return self._train(row.name, self.config(row), seed, options, after)

    def config(self, row: Row) -> str:
        """The config file of a row."""
        return row.config or self.video_set.config

    def model_options(self, row: Row, seed: int) -> tuple[str, ...]:
        """Config keys and values, over the FGFA config, of a row that has been trained."""
        weights = self.train(row, seed).folder / "model_final.pth"
        return (*self.settings.opts, *row.options, "MODEL.WEIGHTS", str(weights))

    def evaluation(self, row: Row, seed: int) -> Step:
        """Detects with a row in the validation videos, and keeps the boxes before NMS."""
        return self._evaluate(row, seed, "evaluation", RAW_BOXES)

    def radius_evaluation(self, radius: int, seed: int) -> Step:
        """Detects with FGFA and a window of another radius than that of its config."""
        options = ("MODEL.FGFA.TEST_RADIUS", str(radius))
        return self._evaluate(FGFA, seed, f"radius_{radius}", options)

    @property
    def radius(self) -> int:
        """The radius of the rows' windows."""
        return self.cfg.MODEL.FGFA.TEST_RADIUS

    @property
    def rows(self) -> Sequence[Row]:
        """All rows of the table."""
        return self.video_set.rows

    def evaluations(self, rows: Sequence[Row]) -> list[Step]:
        """What the table of some rows needs: all seeds of them, then the radii."""
        seeds = self.settings.seeds
        steps = [self.evaluation(row, seed) for seed in seeds for row in rows]
        if FGFA in rows:
            radii = [radius for radius in RADII if radius != self.radius]
            steps += [self.radius_evaluation(k, seed) for seed in seeds for k in radii]
        return steps

    def _row_cfg(self, row: Row) -> CfgNode:
        return _load(self.config(row), (*self.settings.opts, *row.options))

    def _learns_flow(self, row: Row) -> bool:
        model = self._row_cfg(row).MODEL
        return model.META_ARCHITECTURE == "FGFA" and model.FLOW_NET.NAME == "FlowNetS"

    def _flow_width(self) -> float:
        """That of the rows with a learned flow, which share one network."""
        (width,) = {
            self._row_cfg(row).MODEL.FLOW_NET.WIDTH for row in self.rows if self._learns_flow(row)
        }
        return width

    def _start(self, row: Row, seed: int) -> Step:
        if row.starts_from == "base":
            return self.base(seed)
        return self.train(self._named(row.starts_from), seed)

    def _named(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def _train(
        self, name: str, config: str, seed: int, options: Sequence[str], after: Sequence[Step]
    ) -> Step:
        folder = self._seed_folder(seed) / name
        # The checkpoint is evaluated by a step of its own, and not at the end of the training.
        options = (*options, "DATASETS.TEST", "()")
        arguments = self._train_net(config, seed, folder, options)
        resume = functools.partial(_resume_options, ROOT / folder / "last_checkpoint")
        return self._step(f"seed {seed}: training {name}", arguments, folder, after, resume)

    def _evaluate(self, row: Row, seed: int, name: str, options: Sequence[str]) -> Step:
        trained = self.train(row, seed)
        folder = self._seed_folder(seed) / row.name / name
        options = (
            *row.options,
            *("MODEL.WEIGHTS", str(trained.folder / "model_final.pth")),
            *("TEST.MOTION_IOU", self.settings.motion_iou),
            *options,
        )
        arguments = self._train_net(self.config(row), seed, folder, options, "--eval-only")
        resume = functools.partial(_resume_options, ROOT / folder / UNFINISHED)
        title = f"seed {seed}: {name} of {row.name}"
        return self._step(title, arguments, folder, (trained,), resume)

    def _train_net(
        self, config: str, seed: int, folder: Path, options: Sequence[str], *flags: str
    ) -> tuple[str, ...]:
        return (
            *("projects/FGFA/train_net.py", *flags),
            *("--num-gpus", str(self.settings.num_gpus), "--config-file", config),
            *(*self.settings.opts, *options),
            *("SEED", str(seed), "OUTPUT_DIR", str(folder)),
        )

    def _step(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path,
        after: Sequence[Step],
        resume: Callable[[], Sequence[str]] = no_resume,
    ) -> Step:
        environment = {"DETECTRON2_DATASETS": str(self.datasets)}
        configs = [argument for argument in arguments if argument.endswith(".yaml")]
        inputs = {config: _digest(config) for config in configs}
        return Step(name, arguments, folder, after, environment, inputs, resume)

    @property
    def _after_data(self) -> tuple[Step, ...]:
        return () if self.data is None else (self.data,)

    def _seed_folder(self, seed: int) -> Path:
        return self.settings.output / f"seed{seed}"


@functools.cache
def _load(config: str, options: Sequence[str]) -> CfgNode:
    return load_config(str(ROOT / config), options)


@functools.cache
def _digest(config: str) -> str:
    """Identifies what a config file and its bases set."""
    values = CfgNode.load_yaml_with_base(str(ROOT / config))
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _resume_options(left_by_interrupted: Path) -> Sequence[str]:
    return ("--resume",) if left_by_interrupted.exists() else ()


def _flow_options(weights: Path) -> Sequence[str]:
    """A training that is complete lacks its measurement alone."""
    if not weights.is_file():
        return ()
    is_complete = "optimizer" not in torch.load(weights, map_location="cpu", weights_only=True)
    return ("--eval-only",) if is_complete else ("--resume",)
