#!/usr/bin/env python
"""Trains, evaluates and compares all rows of a table of FGFA and its baselines: the paper's claim.

    python scripts/reproduce.py moving_shapes
    python scripts/reproduce.py vid_mini --motion-iou imagenet_vid_groundtruth_motion_iou.mat
    python scripts/reproduce.py moving_shapes --rows single_frame fgfa --seeds 1 --dry-run

Rows: the single-frame detector; the average of a window without flow; adaptive weights without
flow; FGFA; FGFA not trained end to end; FGFA with another flow, or with one composed of small
steps; each also with Seq-NMS. The output folder holds table.md, results.json and table.png, which
are written again after each evaluation, and a folder for each step with its log. A step that has
ended well is not repeated, unless its command or what it is made from has changed; one that was
interrupted goes on.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from fgfa.config import add_opts_argument
from fgfa.errors import one_sentence_errors
from fgfa.stop_signals import StopSignals
from reproducing.recipe import Recipe, Settings
from reproducing.report import PLOT, RESULTS, Report
from reproducing.status import StatusLine
from reproducing.steps import ROOT, State, Step, with_steps_before
from reproducing.video_sets import VIDEO_SETS

_ROWS = {name: {row.name: row for row in s.rows} for name, s in VIDEO_SETS.items()}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", choices=VIDEO_SETS)
    choices = sorted({row for rows in _ROWS.values() for row in rows})
    parser.add_argument("--rows", nargs="+", choices=choices, metavar="ROW", help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: 1 2 3, for vid_mini 1")
    parser.add_argument("--output", type=Path, help="default: output/reproduce/SET")
    parser.add_argument(
        "--datasets",
        type=Path,
        help="folder that holds the data set; default: moving_shapes is drawn into the output, "
        "vid_mini is in DETECTRON2_DATASETS, or datasets",
    )
    parser.add_argument(
        "--motion-iou", metavar="MAT", type=Path, help="default: computed from track ids"
    )
    parser.add_argument("--num-gpus", type=int, default=1, help="processes of train_net.py")
    parser.add_argument("--flow-iterations", type=int, help="default: those of the recipe")
    parser.add_argument("--dry-run", action="store_true", help="prints the commands and stops")
    add_opts_argument(
        parser, "config keys and values for all runs of train_net.py, behind all other options"
    )
    args = parser.parse_args(argv)
    rows = _ROWS[args.set]
    args.rows = args.rows or list(rows)
    if others := [row for row in args.rows if row not in rows]:
        parser.error(f"the table of {args.set} has no row {others[0]}; it has {', '.join(rows)}")
    return args


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe that a command line asks for."""
    video_set = VIDEO_SETS[args.set]
    datasets = args.datasets
    if datasets is None and not video_set.drawn_by:
        datasets = Path(os.environ.get("DETECTRON2_DATASETS", "datasets"))
    return Recipe(
        video_set,
        Settings(
            output=below_root(args.output or ROOT / "output" / "reproduce" / video_set.name),
            datasets=datasets and below_root(datasets),
            seeds=args.seeds or video_set.seeds,
            num_gpus=args.num_gpus,
            motion_iou=str(below_root(args.motion_iou)) if args.motion_iou else "",
            flow_iterations=args.flow_iterations,
            opts=args.opts,
        ),
    )


def below_root(path: Path) -> Path:
    """A path relative to the repository, in which commands run, where it lies in there."""
    path = path.absolute()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def print_steps(steps: Sequence[Step]) -> None:
    """Prints what would be run, and what not."""
    for step in steps:
        print(f"# {step.name}: {step.state().value}\n{step.command}\n")


def run_steps(steps: Sequence[Step], report: Report) -> None:
    """Runs what has to be run, and writes the report behind each evaluation.

    Raises:
        InputError: a step failed.
    """
    status = StatusLine()
    for number, step in enumerate(steps, start=1):
        state = step.state()
        status.start(f"[{number}/{len(steps)}] {step.name}: {state.value}")
        if state is not State.DONE:
            step.run(status.show)
            status.end(step.seconds())
            if report.shows(step):
                report.write()


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    recipe = recipe_of(args)
    steps = with_steps_before(recipe.evaluations([_ROWS[args.set][name] for name in args.rows]))
    if args.dry_run:
        print_steps(steps)
        return
    command = shlex.join(
        ["python", "scripts/reproduce.py", *(sys.argv[1:] if argv is None else argv)]
    )
    report = Report(recipe, command)
    try:
        with StopSignals():
            run_steps(steps, report)
            report.measure_speed()
            report.write()
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    print((ROOT / report.table).read_text(encoding="utf-8"))
    print(f"{report.table}, with {RESULTS} and {PLOT} beside it")


if __name__ == "__main__":
    with one_sentence_errors():
        main()
