"""Writes the figures of a table as Markdown, JSON and a picture."""

import functools
from pathlib import Path

from fgfa.evaluation.results_file import write_results
from fgfa.files import atomic_write
from reproducing.figures import Collector
from reproducing.plot import save_plot
from reproducing.recipe import Recipe
from reproducing.scores import Scorer
from reproducing.speed import RecipeSpeed
from reproducing.steps import ROOT, Step, with_steps_before
from reproducing.table import markdown

TABLE, RESULTS, PLOT = "table.md", "results.json", "table.png"


class Report:
    """What the steps of a recipe have come to so far; reads the data set when first written."""

    def __init__(self, recipe: Recipe, command: str) -> None:
        """
        Args:
            recipe: of the table.
            command: that the table is made with.
        """
        self._recipe = recipe
        self._command = command

    @property
    def table(self) -> Path:
        """The Markdown file; the others are beside it."""
        return self._recipe.settings.output / TABLE

    def shows(self, step: Step) -> bool:
        """Whether a step is an evaluation, whose results the report shows."""
        return step.name in {
            evaluation.name for evaluation in self._recipe.evaluations(self._recipe.rows)
        }

    def measure_speed(self) -> None:
        """Measures the models on the first validation video, unless that has been done."""
        video = self._frames[0]["video_id"]
        images = [frame["file_name"] for frame in self._frames if frame["video_id"] == video]
        RecipeSpeed(self._recipe).measure(images)

    def write(self) -> None:
        """Writes all figures that there are into the output folder.

        Raises:
            InputError: the data set or a file of detections cannot be read.
        """
        figures = self._collector.collect()
        title = f"FGFA and its baselines on {self._recipe.video_set.name}"
        steps = [
            step.command for step in with_steps_before(self._recipe.evaluations(self._recipe.rows))
        ]
        header = {"title": title, "command": self._command, "steps": steps}
        write_results(ROOT / self.table.with_name(RESULTS), {**header, **figures.results()})
        of_first_seed = [step.command for step in self._steps_of_first_seed()]
        with atomic_write(ROOT / self.table) as path:
            text = markdown(title, self._command, of_first_seed, figures)
            path.write_text(text, encoding="utf-8")
        with atomic_write(ROOT / self.table.with_name(PLOT)) as path:
            save_plot(path, title, figures)

    def _steps_of_first_seed(self) -> list[Step]:
        seed = self._recipe.settings.seeds[0]
        return with_steps_before([self._recipe.evaluation(row, seed) for row in self._recipe.rows])

    @functools.cached_property
    def _frames(self) -> list[dict]:
        return self._recipe.video_set.validation_frames(ROOT / self._recipe.datasets)

    @functools.cached_property
    def _collector(self) -> Collector:
        recipe = self._recipe
        motion_iou = recipe.settings.motion_iou and ROOT / recipe.settings.motion_iou
        scorer = Scorer(self._frames, recipe.video_set.class_names, motion_iou)
        return Collector(recipe, scorer)
