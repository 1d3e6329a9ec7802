#!/usr/bin/env python
"""Measures parts of fgfa against alternatives, side by side in one run: a table, and JSON.

    python scripts/benchmark.py ops
    python scripts/benchmark.py ops --threads 1 2 4 --repeat 20 --output ops.json
    python scripts/benchmark.py ops --device cuda
    python scripts/benchmark.py model --size 562 1000 --radius 9
    python scripts/benchmark.py evaluation --per-frame 20 100
    python scripts/benchmark.py seq-nms
    python scripts/benchmark.py training --size 600 1000

Alternatives take turns run by run, so that other load on the machine hits all of them alike:
compare figures of one run only.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarking import evaluation, model, ops, seq_nms, training
from benchmarking.machine import describe_machine
from fgfa.errors import one_sentence_errors
from fgfa.files import atomic_write

# Each has a docstring for its help, add_arguments(parser), and run(args) -> JSON of its figures.
_SUBCOMMANDS = {
    "evaluation": evaluation,
    "model": model,
    "ops": ops,
    "seq-nms": seq_nms,
    "training": training,
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subparsers = parser.add_subparsers(dest="subcommand", required=True)
    for name, module in _SUBCOMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=module.__doc__.partition("\n")[0],
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(subparser)
        subparser.add_argument("--output", metavar="OUT.json", type=Path)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    figures = _SUBCOMMANDS[args.subcommand].run(args)
    if args.output is not None:
        settings = {name: value for name, value in vars(args).items() if name != "output"}
        report = {"machine": describe_machine(), "settings": settings, **figures}
        with atomic_write(args.output) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with one_sentence_errors():
        main()
