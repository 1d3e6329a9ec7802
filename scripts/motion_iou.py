#!/usr/bin/env python
"""Writes the motion IoU of every box of a registered data set, computed from track ids.

    python scripts/motion_iou.py --dataset vid_mini_val --output motion_iou.json
    python scripts/motion_iou.py --dataset vid_mini_val --output motion_iou.mat

JSON maps each image_id to the values of its boxes, in the order of the annotations. A .mat file has
the nesting of the original's, one row for each image_id from 1, and is read by --motion-iou.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import fgfa.data  # noqa: F401  registers the built-in data sets
from fgfa.errors import InputError, one_sentence_errors
from fgfa.evaluation.motion_iou import motion_iou_of_dataset
from fgfa.evaluation.motion_iou_file import write_motion_iou
from fgfa.evaluation.registered_dataset import registered_dataset
from fgfa.evaluation.track_linking import link_tracks
from fgfa.files import atomic_write

_MOST_ROWS = 10_000_000  # the official file has 176,126


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", metavar="NAME", required=True, help="a registered data set")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, required=True, help="a path ending in .json or .mat"
    )
    parser.add_argument(
        "--link-tracks",
        action="store_true",
        help="guess track ids from overlaps, for data that has none",
    )
    return parser.parse_args(argv)


def write_json(path: Path, values: dict[int, np.ndarray]) -> None:
    """Writes motion IoU by image id as JSON."""
    plain = {image_id: boxes.tolist() for image_id, boxes in values.items()}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(plain) + "\n", encoding="utf-8")


def write_mat(path: Path, values: dict[int, np.ndarray]) -> None:
    """Writes motion IoU in the official nesting; ids that the data set lacks have no boxes.

    Raises:
        InputError: it has no row for an id.
    """
    first, last = min(values), max(values)
    if first < 1 or last > _MOST_ROWS:
        raise InputError(
            f"cannot write {path}: it has a row for each image_id from 1 to {_MOST_ROWS} at most, "
            f"and the data set has {first}..{last}; give a path that ends in .json, or number the "
            "frames from 1"
        )
    rows = range(1, last + 1)
    write_motion_iou(path, [values.get(image_id, np.zeros(0)) for image_id in rows])


_WRITERS = {".json": write_json, ".mat": write_mat}


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if args.output.suffix not in _WRITERS:
        raise InputError(f"cannot write {args.output}: give a path that ends in .json or .mat")
    dicts, _ = registered_dataset(args.dataset)
    if args.link_tracks:
        dicts = link_tracks(dicts)
    image_ids = [frame["image_id"] for frame in dicts]
    values = dict(zip(image_ids, motion_iou_of_dataset(dicts), strict=True))
    _WRITERS[args.output.suffix](args.output, values)
    print(f"{args.output}: {sum(map(len, values.values()))} boxes of {len(values)} frames")


if __name__ == "__main__":
    with one_sentence_errors():
        main()
