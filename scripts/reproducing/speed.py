"""Milliseconds a frame of several models, which take turns on the frames of one video."""

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarking.machine import describe_machine
from benchmarking.measuring import time_alternately
from fgfa.config import load_config
from fgfa.data.image_files import read_images
from fgfa.files import atomic_write
from fgfa.predictor import VideoPredictor
from reproducing.recipe import RADII, Recipe
from reproducing.rows import FGFA
from reproducing.steps import ROOT

FRAMES = 64  # of the video
REPEAT = 21  # frames timed of each model
_WARM_UP = 3  # frames

Options = Sequence[str]


def measure_speed(
    models: Mapping[str, tuple[str, Options]], images: Sequence[str], device: str
) -> dict[str, Any]:
    """Times models frame by frame, with full windows, in turns, so that other load hits all alike.

    A frame is resized, goes through the network, and comes out as detections. Reading images from
    disk, and Seq-NMS, are not timed.

    Args:
        models: config file, and config keys and values over it, by the model's name.
        images: files of a video's frames; the video is repeated without end.
        device: such as "cpu".

    Returns:
        dict: `machine`, `threads`, and `models`, with least and median milliseconds of each.
    """
    frames = list(read_images(images[:FRAMES]))
    configs = {
        name: load_config(
            config_file, [*options, "TEST.FRAMES_PER_BATCH", "1", "MODEL.DEVICE", device]
        )
        for name, (config_file, options) in models.items()
    }
    streams = {name: VideoPredictor(cfg)(itertools.cycle(frames)) for name, cfg in configs.items()}
    for stream in streams.values():
        for _ in range(_WARM_UP):
            next(stream)
    threads = torch.get_num_threads()
    runs = {name: lambda stream=stream: next(stream) for name, stream in streams.items()}
    seconds = time_alternately(runs, [threads], REPEAT, torch.device(device), "ms a frame")
    return {
        "machine": describe_machine(),
        "threads": threads,
        "models": {name: _milliseconds(times[threads]) for name, times in seconds.items()},
    }


def _milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    return {"least": 1e3 * min(seconds), "median": 1e3 * statistics.median(seconds)}


class RecipeSpeed:
    """The speed of a recipe's models, kept in a file until one of them is trained again."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._path = ROOT / recipe.settings.output / "speed.json"

    def kept(self) -> dict[str, Any]:
        """The figures of `measure_speed`, {} where some model was not measured."""
        kept = json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}
        is_current = kept.get("made_from") == self._made_from()
        return kept["figures"] if is_current else {}

    def measure(self, images: Sequence[str]) -> dict[str, Any]:
        """Measures and keeps; what has been kept is not measured again.

        Args:
            images: files of a video's frames.
        """
        made_from, figures = self._made_from(), self.kept()
        if made_from and not figures:
            models = {
                name: (str(ROOT / config), options)
                for name, (config, options, _) in made_from.items()
            }
            figures = measure_speed(models, images, self._recipe.cfg.MODEL.DEVICE)
            with atomic_write(self._path) as temporary:
                text = json.dumps({"made_from": made_from, "figures": figures}, indent=1)
                temporary.write_text(text + "\n", encoding="utf-8")
        return figures

    def _made_from(self) -> dict[str, list]:
        """Config, options, and time of training, of the models of the first seed that there are."""
        seed, models = self._recipe.settings.seeds[0], {}
        for row in self._recipe.rows:
            trained = self._recipe.train(row, seed).finished()
            if trained:
                options = list(self._recipe.model_options(row, seed))
                models[row.title] = [self._recipe.config(row), options, trained]
        if FGFA.title in models:
            config, options, trained = models[FGFA.title]
            for k in RADII:
                radius = ["MODEL.FGFA.TEST_RADIUS", str(k)]
                models[radius_title(k)] = [config, [*options, *radius], trained]
        return models


def radius_title(radius: int) -> str:
    """What `RecipeSpeed` calls FGFA with a window of this radius."""
    return f"radius {radius}"
