import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.modeling.roi_heads.fast_rcnn import fast_rcnn_inference
from detectron2.structures import BoxMode

from fgfa.evaluation.official_text import write_exact_text, write_text
from fgfa.evaluation.records import Detections
from reproducing import speed, table
from reproducing.figures import Collector, Figures
from reproducing.plot import radii_of_all_seeds, save_plot
from reproducing.recipe import Recipe, Settings
from reproducing.report import Report
from reproducing.rows import AVERAGE, FGFA, SINGLE_FRAME, TABLE_1
from reproducing.scores import Score, Scorer, after_nms, difference, mean_over_seeds
from reproducing.steps import Step, with_steps_before
from reproducing.video_sets import MOVING_SHAPES

BOX, FAR = [20.0, 40, 99, 99], [150.0, 40, 199, 99]
MOTIONS = ["all", "slow", "medium", "fast"]
VIDEOS, LENGTH = 4, 3


@pytest.fixture
def dicts() -> list[dict]:
    """Short videos of an object that stands still."""
    annotation = {"bbox": BOX, "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0, "track_id": 0}
    return [
        {
            "image_id": 1 + LENGTH * video + frame,
            "video_id": f"video {video}",
            "frame_index": frame,
            "height": 120,
            "width": 240,
            "annotations": [annotation],
        }
        for video in range(VIDEOS)
        for frame in range(LENGTH)
    ]


def found_in(*videos: int) -> Detections:
    """The object is found in these videos, and in others something far from it, at equal scores."""
    count = VIDEOS * LENGTH
    boxes = [BOX if index // LENGTH in videos else FAR for index in range(count)]
    ids = np.arange(1, count + 1)
    return Detections(ids, np.zeros(count, int), np.full(count, 0.5), np.array(boxes))


def constant(value: float, *samples: float) -> Score:
    return Score(np.full(4, value), np.array([[sample] * 4 for sample in samples]))


def test_difference_is_the_mean_over_the_seeds_of_both() -> None:
    scores = {1: constant(5, 4, 6), 2: constant(7, 6, 9), 3: constant(90, 90, 90)}
    others = {1: constant(4, 3, 4), 2: constant(2, 1, 2), 4: constant(0, 0, 0)}
    result = difference(scores, others)
    np.testing.assert_allclose(result.ap, 3)  # of 1 and 5
    np.testing.assert_allclose(result.samples[:, 0], [3, 4.5])  # of 1 and 5, of 2 and 7
    assert difference({1: scores[1]}, {2: others[2]}) is None


def test_interval_pairs_draws_before_it_averages_seeds() -> None:
    # Both rows vary a lot with the draw, but always by the same.
    draws = np.random.default_rng(0).uniform(0, 50, 1000)
    scores = {seed: constant(30 + seed, *(draws + seed)) for seed in (1, 2)}
    others = {seed: constant(27, *(draws - 3)) for seed in (1, 2)}
    value, low, high = difference(scores, others).estimate()
    np.testing.assert_allclose([value, low, high], 4.5)
    _, low, high = mean_over_seeds(scores).estimate()
    assert (high - low > 40).all()


def test_scores_of_a_file(dicts: list[dict], tmp_path: Path) -> None:
    scorer = Scorer(dicts, ["cat"], samples=200)
    assert scorer.motions == MOTIONS
    write_text(tmp_path / "all.txt", found_in(0, 1, 2, 3))
    write_text(tmp_path / "none.txt", found_in())
    everything, nothing = (scorer.score(tmp_path / f"{name}.txt") for name in ("all", "none"))
    np.testing.assert_array_equal(everything.ap, [100, 100, math.nan, math.nan])
    assert everything.samples.shape == (200, 4)
    np.testing.assert_array_equal(nothing.ap[:2], 0)
    gain = difference({1: everything}, {1: nothing})
    np.testing.assert_array_equal(gain.estimate()[:, 0], 100)


def random_boxes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    corner, size = 60 * torch.rand(count, 2), 5 + 40 * torch.rand(count, 2)
    return torch.cat([corner, corner + size], dim=1), torch.rand(count, 4).softmax(dim=1)


def detections_of_the_head(nms_iou: float, limit: int) -> Detections:
    """Of two frames, of 3 classes and the background."""
    boxes, scores = random_boxes(80)
    frames = [(boxes[:40], scores[:40]), (boxes[40:], scores[40:])]
    parts = []
    for number, (b, s) in enumerate(frames, start=7):
        (found,), _ = fast_rcnn_inference([b], [s], [(200, 200)], 0.001, nms_iou, limit)
        arrays = (found.pred_classes, found.scores.double(), found.pred_boxes.tensor.double())
        parts.append(Detections(np.full(len(found), number), *(a.numpy() for a in arrays)))
    return Detections.concatenate(parts)


@pytest.mark.parametrize("limit", [5, 300, -1])
def test_boxes_before_nms_give_what_the_head_gives(limit: int, tmp_path: Path) -> None:
    raw, expected = detections_of_the_head(1.0, -1), detections_of_the_head(0.3, limit)
    assert len(raw) == 2 * 40 * 3 > len(expected)
    rows = np.random.default_rng(0).permutation(len(raw))
    result = after_nms(raw[rows], 0.3, limit)
    for name in ("image_ids", "classes", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))


def test_no_boxes() -> None:
    assert len(after_nms(Detections.empty(), 0.3, 300)) == 0


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(MOVING_SHAPES, Settings(tmp_path / "out", tmp_path, seeds=(1, 2)))


def pretend(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamps a step, and those before it, as if it had been run."""
    with monkeypatch.context() as patch:
        patch.setattr(Step, "_run_logged", lambda self, options, show: 0)
        for needed in with_steps_before([step]):
            if needed.finished() is None:
                needed.run(print)


def pretend_evaluation(recipe, row, seed, raw, after_seq_nms, monkeypatch) -> None:
    step = recipe.evaluation(row, seed)
    for needed in (recipe.flow(seed), step):
        pretend(needed, monkeypatch)
    recipe.flow_weights(seed).with_suffix(".json").write_text("{}")
    write_exact_text(step.folder / "raw_detections.txt", raw)
    write_text(step.folder / "detections.txt", after_seq_nms)


def test_figures_of_what_has_been_run(recipe, dicts, monkeypatch) -> None:
    for seed, found in ((1, found_in(0)), (2, found_in(0, 1))):
        pretend_evaluation(recipe, SINGLE_FRAME, seed, found, found_in(0, 1, 2), monkeypatch)
    pretend_evaluation(recipe, FGFA, 2, found_in(0, 1, 2), found_in(0, 1, 2, 3), monkeypatch)
    pretend(recipe.radius_evaluation(1, 2), monkeypatch)
    write_text(recipe.radius_evaluation(1, 2).folder / "detections.txt", found_in(0, 1))
    for seed, error in ((1, 0.2), (2, 0.4)):
        path = recipe.flow_weights(seed).with_suffix(".json")
        path.write_text(json.dumps({"zero": {"px": 2.0}, "FlowNetS": {"px": error}}))

    figures = Collector(recipe, Scorer(dicts, ["cat"], samples=50)).collect()
    assert list(figures.rows[SINGLE_FRAME.title]) == [1, 2]
    assert list(figures.rows[FGFA.title]) == [2]
    assert figures.rows[AVERAGE.title] == {}
    assert {k for k, scores in figures.radii.items() if scores} == {1, recipe.radius}
    assert figures.radii[recipe.radius] is figures.rows[FGFA.title]
    assert figures.flow_errors["FlowNetS"]["px"] == pytest.approx(0.3)

    differences = figures.differences()
    ap = {title: s.ap[0] for title, s in differences.items() if s is not None}
    fgfa, single = (figures.rows[title][2].ap[0] for title in ("FGFA", "single frame"))
    seq_nms = (
        figures.rows["FGFA + Seq-NMS"][2].ap[0],
        figures.rows["single frame + Seq-NMS"][2].ap[0],
    )
    assert ap["FGFA − single frame"] == pytest.approx(fgfa - single)
    assert ap["FGFA − single frame, both with Seq-NMS"] == pytest.approx(seq_nms[0] - seq_nms[1])
    assert ap["Seq-NMS on FGFA"] == pytest.approx(seq_nms[0] - fgfa)
    assert seq_nms[0] > fgfa > single
    assert differences["FGFA − average, no flow"] is None


def test_outdated_evaluation_is_left_out(recipe, dicts, monkeypatch) -> None:
    pretend_evaluation(recipe, FGFA, 1, found_in(0), found_in(0), monkeypatch)
    changed = Recipe(
        MOVING_SHAPES, Settings(recipe.settings.output, recipe.datasets, (1, 2), num_gpus=2)
    )
    scorer = Scorer(dicts, ["cat"], samples=0)
    assert Collector(recipe, scorer).collect().rows[FGFA.title]
    assert not Collector(changed, scorer).collect().rows[FGFA.title]


@pytest.fixture
def figures() -> Figures:
    """Two seeds of the single frame, one of FGFA, all else not run."""
    rows = {title: {} for row in TABLE_1 for title in (row.title, row.title + " + Seq-NMS")}
    rows["single frame"] = {1: constant(50, 40, 50), 2: constant(52, 40, 50)}
    rows["FGFA"] = {1: constant(56, 41, 57)}
    rows["FGFA + Seq-NMS"] = {1: constant(57, 40, 60)}
    machine = {"gpu": None, "processor": "abacus", "cores": 2, "torch": "2"}
    times = {"FGFA": {"least": 70.0, "median": 80.0}, "radius 1": {"least": 60, "median": 61}}
    return Figures(
        motions=MOTIONS,
        seeds=[1, 2],
        rows=rows,
        radii={1: {1: constant(53, 1)}, 2: {}},
        flow_errors={"zero": {"px": 2.0}, "FlowNetS": {"px": 0.5}},
        speed={"machine": machine, "threads": 1, "models": times},
        seconds=1800,
    )


def line_of(text: object, start: str) -> list[str]:
    line = next(line for line in str(text).splitlines() if line.startswith(f"| {start} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_of_rows(figures: Figures) -> None:
    text = table.row_table(figures)
    assert line_of(text, "single frame")[1:] == ["51.0 (50.0 to 52.0)"] * 4 + ["–"]
    assert line_of(text, "FGFA")[1:3] == ["56.0, 1 of 2 seeds", "56.0"]
    assert line_of(text, "FGFA")[-1] == "70.0 (80.0)"
    assert line_of(text, "average, no flow")[1:] == ["not run"] * 4 + ["–"]


def test_table_of_differences(figures: Figures) -> None:
    text = table.difference_table(figures)
    assert line_of(text, "FGFA − single frame")[1] == "**+6.0** [+1.2, +6.8]"
    assert line_of(text, "Seq-NMS on FGFA")[1] == "+1.0 [-0.9, +2.9]"
    assert line_of(text, "FGFA − average, no flow")[1] == "not run"


def test_other_tables(figures: Figures) -> None:
    text = table.radius_table(figures)
    assert line_of(text, "3") == [
        "3",
        "1",
        *["53.0, 1 of 2 seeds", "53.0", "53.0", "53.0"],
        "60.0 (61.0)",
    ]
    assert line_of(text, "5")[2] == "not run"
    assert line_of(table.flow_table(figures), "FlowNetS") == ["FlowNetS", "0.500"]


def test_markdown_holds_everything(figures: Figures) -> None:
    text = table.markdown("Title", "python x.py", ["python step.py"], figures)
    for part in (
        "# Title",
        "`python x.py`",
        "seeds: 1, 2",
        "30 minutes",
        "python step.py",
        "abacus",
    ):
        assert part in text
    assert "* Seq-NMS on FGFA: AP50, slow, medium, fast" in text
    assert "* FGFA − single frame" not in text


def test_results_for_json(figures: Figures) -> None:
    results = json.loads(json.dumps(figures.results()))
    row = results["rows"]["single frame"]
    assert row["by_seed"]["2"]["fast"] == 52
    assert row["mean"]["all"][0] == 51
    assert results["rows"]["average, no flow"] is None
    assert results["differences"]["FGFA − single frame"]["fast"] == pytest.approx([6, 1.15, 6.85])


@pytest.mark.parametrize("radii", [0, 1, 3])
def test_plot(radii: int, figures: Figures, tmp_path: Path) -> None:
    both = {k: {1: constant(53, 1), 2: constant(55, 1)} for k in range(radii)}
    save_plot(tmp_path / "table.png", "title", replace(figures, radii=both))
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_plot_leaves_out_radii_that_lack_seeds(figures: Figures) -> None:
    both = {4: {1: constant(53, 1), 2: constant(55, 1)}}
    (radius,) = radii_of_all_seeds(replace(figures, radii=figures.radii | both)).items()
    assert radius[0] == 4
    assert radius[1].tolist() == [54] * 4


def test_report_of_nothing_yet(recipe, dicts, monkeypatch) -> None:
    monkeypatch.setattr(type(recipe.video_set), "validation_frames", lambda *_: dicts)
    report = Report(recipe, "python reproduce.py")
    report.write()
    assert "not run" in report.table.read_text()
    assert json.loads((report.table.parent / "results.json").read_text())["radii"]["9"] is None
    assert (report.table.parent / "table.png").exists()


def test_speed_is_measured_once_for_the_same_models(recipe, monkeypatch) -> None:
    measured = []

    def measure(models, images, device):
        measured.append(list(models))
        return {"models": {name: {"least": 1.0, "median": 2.0} for name in models}}

    monkeypatch.setattr(speed, "measure_speed", measure)
    of_recipe = speed.RecipeSpeed(recipe)
    assert of_recipe.measure([]) == of_recipe.kept() == {}
    pretend(recipe.train(SINGLE_FRAME, 1), monkeypatch)
    assert list(of_recipe.measure([])["models"]) == ["single frame"]
    assert of_recipe.kept() == of_recipe.measure([])
    pretend(recipe.train(FGFA, 1), monkeypatch)
    assert of_recipe.kept() == {}
    of_recipe.measure([])
    assert [len(models) for models in measured] == [1, 8]
    assert measured[1][-1] == "radius 9"
