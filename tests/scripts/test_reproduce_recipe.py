import runpy
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model

from fgfa.config import load_config
from fgfa.errors import InputError
from fgfa.model_parts import freeze_parts
from reproducing.recipe import RADII, Recipe, Settings
from reproducing.rows import (
    AVERAGE,
    COMPOSED_DIS_FLOW,
    DIS_FLOW,
    FGFA,
    LEARNED_FLOW,
    NOT_END_TO_END,
    SINGLE_FRAME,
)
from reproducing.steps import ROOT, Step, with_steps_before
from reproducing.video_sets import MOVING_SHAPES, VID_MINI, VIDEO_SETS, VideoSet

SCRIPT = Path(__file__).parents[2] / "scripts" / "reproduce.py"


@pytest.fixture
def shapes(tmp_path: Path) -> Recipe:
    return Recipe(MOVING_SHAPES, Settings(tmp_path, datasets=None, seeds=(1, 2)))


def options_of(step: Step) -> dict[str, str]:
    """Config keys and values of a run of train_net.py, behind the config file."""
    arguments = list(step.arguments)
    first = arguments.index("--config-file") + 2
    return dict(zip(arguments[first::2], arguments[first + 1 :: 2], strict=True))


def names(steps) -> list[str]:
    return [step.name for step in steps]


def test_rows_are_trained_alike_from_the_base(shapes: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "seed2"
    weights = {"MODEL.WEIGHTS", "OUTPUT_DIR"}
    for row in shapes.rows:
        if row.weights_of:
            continue
        step = shapes.train(row, 2)
        start = SINGLE_FRAME.name if row is NOT_END_TO_END else "base"
        expected = {
            **dict(zip(row.options[::2], row.options[1::2], strict=True)),
            "MODEL.WEIGHTS": str(folder / start / "model_final.pth"),
            "DATASETS.TEST": "()",
            "SEED": "2",
            "OUTPUT_DIR": str(folder / row.name),
        }
        if row in (FGFA, NOT_END_TO_END):  # the others have no flow that learns
            expected["MODEL.FLOW_NET.WEIGHTS"] = str(folder / "flow" / "flow.pth")
        assert options_of(step) == expected
        assert weights < set(expected)
        assert MOVING_SHAPES.config in step.arguments
        assert "--eval-only" not in step.arguments


def test_not_end_to_end_is_behind_the_single_frame(shapes: Recipe) -> None:
    assert names(with_steps_before([shapes.evaluation(NOT_END_TO_END, 1)])) == [
        "drawing the data set",
        "seed 1: training base",
        "seed 1: training single_frame",
        "seed 1: training the flow network",
        "seed 1: training not_end_to_end",
        "seed 1: evaluation of not_end_to_end",
    ]


def test_a_row_may_take_the_weights_of_another(shapes: Recipe, tmp_path: Path) -> None:
    assert shapes.train(COMPOSED_DIS_FLOW, 1).command == shapes.train(DIS_FLOW, 1).command
    pairwise, composed = (shapes.evaluation(row, 1) for row in (DIS_FLOW, COMPOSED_DIS_FLOW))
    assert composed.folder == tmp_path / "seed1" / "composed_dis_flow" / "evaluation"
    folder = {"OUTPUT_DIR": str(composed.folder)}
    expected = {**options_of(pairwise), **folder, "MODEL.FGFA.FLOW_MODE": "composed"}
    assert options_of(composed) == expected


def test_evaluation_keeps_boxes_before_nms(shapes: Recipe, tmp_path: Path) -> None:
    step = shapes.evaluation(SINGLE_FRAME, 1)
    options = options_of(step)
    assert step.arguments[1] == "--eval-only"
    assert options["MODEL.META_ARCHITECTURE"] == "GeneralizedRCNN"
    assert options["MODEL.WEIGHTS"] == str(tmp_path / "seed1" / "single_frame" / "model_final.pth")
    assert options["TEST.SEQ_NMS.ENABLED"] == options["TEST.SEQ_NMS.SAVE_RAW_BOXES"] == "True"
    assert options["TEST.MOTION_IOU"] == ""


def test_every_row_seed_and_radius_is_evaluated_once(shapes: Recipe) -> None:
    steps = shapes.evaluations(shapes.rows)
    # One radius is that of the row.
    assert len(set(names(steps))) == len(steps) == 2 * (len(shapes.rows) + len(RADII) - 1)
    assert len({step.folder for step in with_steps_before(steps)}) == len(with_steps_before(steps))
    radius = shapes.radius_evaluation(9, 1)
    assert options_of(radius)["MODEL.FGFA.TEST_RADIUS"] == "9"
    assert "TEST.SEQ_NMS.ENABLED" not in options_of(radius)


def test_radii_belong_to_fgfa(shapes: Recipe) -> None:
    assert len(shapes.evaluations([SINGLE_FRAME])) == 2
    assert len(shapes.evaluations([SINGLE_FRAME, FGFA])) == 2 * (1 + len(RADII))


def test_vid_mini_has_one_flow_network_and_official_motion(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path, Path("sets"), (3, 4), motion_iou="motion.mat", num_gpus=2, flow_iterations=7
    )
    recipe = Recipe(VID_MINI, settings)
    assert recipe.flow(3).command == recipe.flow(4).command
    assert recipe.flow(3).folder == recipe.flow(4).folder
    command = recipe.flow(3).command
    assert command.startswith("DETECTRON2_DATASETS=sets python scripts/pretrain_flow.py ")
    assert "--images vid_mini_train" in command
    assert command.endswith("--iterations 7 --seed 1")
    step = recipe.evaluation(FGFA, 3)
    assert options_of(step)["TEST.MOTION_IOU"] == "motion.mat"
    assert "--num-gpus 2" in step.command
    assert names(with_steps_before([step]))[0] == "seed 3: training base"  # DIS does not learn


def test_a_row_may_have_a_config_of_its_own(tmp_path: Path) -> None:
    recipe = Recipe(VID_MINI, Settings(tmp_path, Path("sets"), (1,)))
    assert "--width 0.4" in recipe.flow(1).command
    for step in (recipe.train(LEARNED_FLOW, 1), recipe.evaluation(LEARNED_FLOW, 1)):
        assert LEARNED_FLOW.config in step.arguments
        assert LEARNED_FLOW.config in step.inputs
    assert "training the flow network" in names(recipe.train(LEARNED_FLOW, 1).after)
    assert "training the flow network" not in names(recipe.train(AVERAGE, 1).after)


def test_options_reach_all_runs_of_train_net(tmp_path: Path) -> None:
    opts = ("SOLVER.MAX_ITER", "2", "MODEL.FGFA.TEST_RADIUS", "1", "MODEL.FLOW_NET.WIDTH", "0.5")
    recipe = Recipe(MOVING_SHAPES, Settings(tmp_path, None, (1,), opts=opts))
    for step in with_steps_before(recipe.evaluations(recipe.rows)):
        if "train_net" in step.command:
            assert options_of(step)["SOLVER.MAX_ITER"] == "2"
    assert recipe.radius == 1
    assert "--width 0.5" in recipe.flow(1).command


def test_unknown_option(tmp_path: Path) -> None:
    recipe = Recipe(MOVING_SHAPES, Settings(tmp_path, None, (1,), opts=("SOLVER.TYPO", "2")))
    with pytest.raises(InputError, match=r"SOLVER\.TYPO"):
        recipe.evaluations(recipe.rows)


def test_how_interrupted_steps_go_on(shapes: Recipe, tmp_path: Path) -> None:
    base, flow = shapes.base(1), shapes.flow(1)
    assert list(base.resume()) == list(flow.resume()) == []
    for step in (base, flow):
        step.folder.mkdir(parents=True)
    (base.folder / "last_checkpoint").touch()
    assert list(base.resume()) == ["--resume"]
    weights = shapes.flow_weights(1)
    torch.save({"model": {}, "optimizer": {}}, weights)
    assert list(flow.resume()) == ["--resume"]
    torch.save({"model": {}}, weights)
    assert list(flow.resume()) == ["--eval-only"]
    evaluation = shapes.evaluation(FGFA, 1)
    assert list(evaluation.resume()) == []
    (evaluation.folder / "unfinished_evaluation" / "moving_shapes_val").mkdir(parents=True)
    assert list(evaluation.resume()) == ["--resume"]


def test_config_is_an_input(shapes: Recipe) -> None:
    assert list(shapes.train(FGFA, 1).inputs) == [MOVING_SHAPES.config]
    assert list(shapes.base(1).inputs) == [MOVING_SHAPES.base_config]
    assert shapes.train(FGFA, 1).inputs != shapes.base(1).inputs


def test_row_of_another_table(capsys) -> None:
    main = runpy.run_path(str(SCRIPT))["main"]
    with pytest.raises(SystemExit):
        main(["vid_mini", "--rows", "dis_flow"])
    assert (
        "the table of vid_mini has no row dis_flow; it has single_frame" in capsys.readouterr().err
    )


def test_dry_run_prints_commands_with_their_state(tmp_path: Path, capsys) -> None:
    main = runpy.run_path(str(SCRIPT))["main"]
    arguments = ["--rows", "fgfa", "--seeds", "5", "--output", str(tmp_path), "--dry-run"]
    main(["moving_shapes", *arguments, "--opts", "SOLVER.MAX_ITER", "2"])
    printed = capsys.readouterr().out
    assert "# seed 5: training fgfa: to be done\n" in printed
    assert "SOLVER.MAX_ITER 2" in printed
    assert "single_frame" not in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("video_set", VIDEO_SETS.values(), ids=VIDEO_SETS)
def test_every_trained_row_has_something_to_learn(video_set: VideoSet) -> None:
    for row in video_set.rows:
        options = (*row.options, "MODEL.WEIGHTS", "", "MODEL.DEVICE", "cpu")
        cfg = load_config(str(ROOT / (row.config or video_set.config)), options)
        model = build_model(cfg)
        freeze_parts(model, cfg.MODEL.FROZEN_PARTS)
        assert any(parameter.requires_grad for parameter in model.parameters())
