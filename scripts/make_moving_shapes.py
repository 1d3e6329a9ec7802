"""Draws the moving-shapes data set: small videos to train and test a detector without downloads.

Example:

    python scripts/make_moving_shapes.py --output datasets

writes `datasets/moving_shapes/ILSVRC2015`, registered as moving_shapes_train and moving_shapes_val
for DETECTRON2_DATASETS=datasets.
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from fgfa.data.moving_shapes import write_moving_shapes
from fgfa.errors import one_sentence_errors


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write_moving_shapes(
        args.output,
        train_videos=args.train_videos,
        val_videos=args.val_videos,
        frames=args.frames,
        size=tuple(args.size),
        seed=args.seed,
    )


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(os.environ.get("DETECTRON2_DATASETS", "datasets")),
        help="folder to hold moving_shapes (default: DETECTRON2_DATASETS, or datasets)",
    )
    parser.add_argument("--train-videos", type=int, default=40)
    parser.add_argument("--val-videos", type=int, default=10)
    parser.add_argument("--frames", type=int, default=32, help="length of each video")
    parser.add_argument("--size", type=int, nargs=2, default=(160, 240), metavar=("H", "W"))
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    with one_sentence_errors():
        main()
