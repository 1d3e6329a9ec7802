"""All figures of a table, as far as the steps that they come from have been run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproducing.recipe import RADII, Recipe
from reproducing.rows import AVERAGE, FGFA, SINGLE_FRAME
from reproducing.scores import BySeed, Score, Scorer, difference, mean_over_seeds
from reproducing.speed import RecipeSpeed
from reproducing.steps import ROOT, State, Step, with_steps_before

SEQ_NMS = " + Seq-NMS"


@dataclass(frozen=True)
class Figures:
    """What a table, a plot and a JSON file are made of.

    Attributes:
        motions: M groups of motion, all first.
        seeds: those that were asked for; a row may lack some.
        rows: scores by title, in the order of the table, those not run included.
        radii: scores of FGFA by the radius of its window.
        flow_errors: mean end-point errors by method and measure, see `pretrain_flow.py`.
        speed: see `measure_speed`, with the names of rows and `radius K`; {} where not measured.
        seconds: that the steps took, all together.
    """

    motions: list[str]
    seeds: list[int]
    rows: dict[str, BySeed]
    radii: dict[int, BySeed]
    flow_errors: dict[str, dict[str, float]]
    speed: Mapping[str, Any]
    seconds: float

    def differences(self) -> dict[str, Score | None]:
        """Differences by title, None where a row is missing."""
        titles = [title for title in self.rows if not title.endswith(SEQ_NMS)]
        single = SINGLE_FRAME.title
        others = [title for title in titles if title != single]
        pairs = {f"{title} − {single}": (title, single) for title in others}
        pairs[f"{FGFA.title} − {AVERAGE.title}"] = FGFA.title, AVERAGE.title
        pairs |= {
            f"{title} − {single}, both with Seq-NMS": (title + SEQ_NMS, single + SEQ_NMS)
            for title in others
        }
        pairs |= {f"Seq-NMS on {title}": (title + SEQ_NMS, title) for title in titles}
        return {title: difference(self.rows[a], self.rows[b]) for title, (a, b) in pairs.items()}

    def milliseconds(self, name: str) -> dict[str, float] | None:
        """Least and median time a frame of a model."""
        return self.speed.get("models", {}).get(name)

    def results(self) -> dict[str, Any]:
        """All figures for JSON; an estimate is a list of value, lower and upper end."""
        return {
            "seeds": self.seeds,
            "rows": {title: self._row_results(scores) for title, scores in self.rows.items()},
            "differences": {
                title: score and self._named(score.estimate().T)
                for title, score in self.differences().items()
            },
            "radii": {str(k): self._row_results(scores) for k, scores in self.radii.items()},
            "flow_errors": self.flow_errors,
            "speed": self.speed,
            "seconds": self.seconds,
        }

    def _row_results(self, scores: BySeed) -> dict[str, Any] | None:
        if not scores:
            return None
        return {
            "by_seed": {str(seed): self._named(score.ap) for seed, score in scores.items()},
            "mean": self._named(mean_over_seeds(scores).estimate().T),
        }

    def _named(self, values: np.ndarray) -> dict[str, Any]:
        return dict(zip(self.motions, values.tolist(), strict=True))


class Collector:
    """Gets figures from the folders of a recipe's steps; files are scored once."""

    def __init__(self, recipe: Recipe, scorer: Scorer) -> None:
        self._recipe = recipe
        self._scorer = scorer
        self._scores: dict[tuple[Path, str], Score] = {}

    def collect(self) -> Figures:
        """Takes what there is.

        Raises:
            InputError: a file of detections is broken.
        """
        seeds = list(self._recipe.settings.seeds)
        rows: dict[str, BySeed] = {}
        for row in self._recipe.rows:
            steps = {seed: self._recipe.evaluation(row, seed) for seed in seeds}
            rows[row.title] = self._by_seed(steps, "raw_detections.txt")
            rows[row.title + SEQ_NMS] = self._by_seed(steps, "detections.txt")
        return Figures(
            motions=self._scorer.motions,
            seeds=seeds,
            rows=rows,
            radii={k: self._radius(k, rows) for k in sorted({*RADII, self._recipe.radius})},
            flow_errors=self._flow_errors(),
            speed=RecipeSpeed(self._recipe).kept(),
            seconds=sum(
                step.seconds()
                for step in with_steps_before(self._recipe.evaluations(self._recipe.rows))
                if step.state() is State.DONE
            ),
        )

    def _radius(self, radius: int, rows: Mapping[str, BySeed]) -> BySeed:
        if radius == self._recipe.radius:
            return rows[FGFA.title]
        seeds = self._recipe.settings.seeds
        steps = {seed: self._recipe.radius_evaluation(radius, seed) for seed in seeds}
        return self._by_seed(steps, "detections.txt")

    def _by_seed(self, steps: Mapping[int, Step], file: str) -> BySeed:
        done = {seed: step for seed, step in steps.items() if step.state() is State.DONE}
        return {seed: self._score(step, file) for seed, step in done.items()}

    def _score(self, step: Step, file: str) -> Score:
        key = step.folder / file, step.finished()
        if key not in self._scores:
            path, cfg = ROOT / step.folder / file, self._recipe.cfg
            self._scores[key] = (
                self._scorer.score_raw(
                    path, cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST, cfg.TEST.DETECTIONS_PER_IMAGE
                )
                if file == "raw_detections.txt"
                else self._scorer.score(path)
            )
        return self._scores[key]

    def _flow_errors(self) -> dict[str, dict[str, float]]:
        """The mean over flow networks."""
        paths = {
            ROOT / self._recipe.flow_weights(seed).with_suffix(".json")
            for seed in self._recipe.settings.seeds
            if self._recipe.flow(seed).state() is State.DONE
        }
        errors = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(paths)]
        if not errors:
            return {}
        return {
            method: {measure: float(np.mean([e[method][measure] for e in errors])) for measure in m}
            for method, m in errors[0].items()
        }
