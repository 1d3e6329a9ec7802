#!/usr/bin/env python
"""Reports what is wrong or odd in a data set, before a training finds out.

    python scripts/check_dataset.py --dataset mine_train
    python scripts/check_dataset.py --dataset mine_train --output check.json --picture check.png
    python scripts/check_dataset.py --dataset imagenet_vid_val --images find    # a faster look

prints a table of findings, the classes, and the speeds of objects by motion IoU. The data set is
named in the datasets.yaml of DETECTRON2_DATASETS, or comes with fgfa.

Exit status: 0 if nothing is wrong (something may be odd), 3 if something is, 1 if the data set
cannot be read at all.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import fgfa.data  # noqa: F401  registers the built-in data sets
from fgfa.dataset_check import check_dataset
from fgfa.dataset_check.image_checks import Images
from fgfa.dataset_check.picture import save_picture
from fgfa.dataset_check.tables import json_of, text_of
from fgfa.errors import InputError, one_sentence_errors
from fgfa.files import atomic_write

WRONG = 3
_PICTURES = (".jpeg", ".jpg", ".png")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", metavar="NAME", required=True, help="a registered data set")
    parser.add_argument(
        "--images",
        type=Images,
        choices=list(Images),
        default=Images.READ,
        metavar="{read,find,skip}",
        help="read all images, see whether they are there, or leave them alone (default: read)",
    )
    parser.add_argument(
        "--jump",
        metavar="SIZES",
        type=float,
        default=1.0,
        help="motion to the next frame, in sizes of the box, that is odd (default: 1)",
    )
    parser.add_argument("--output", metavar="OUT.json", type=Path, help="all that was found")
    parser.add_argument("--picture", metavar="OUT.png", type=Path, help="classes, speeds, sizes")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.picture is not None and args.picture.suffix.lower() not in _PICTURES:
        raise InputError(f"cannot draw {args.picture}: give a path that ends in .png or .jpg")
    check = check_dataset(args.dataset, args.images, args.jump)
    print(text_of(check))
    if args.output is not None:
        with atomic_write(args.output) as temporary:
            temporary.write_text(json.dumps(json_of(check), indent=1) + "\n", encoding="utf-8")
    if args.picture is not None:
        save_picture(args.picture, check)
    return WRONG if check.is_wrong else 0


if __name__ == "__main__":
    with one_sentence_errors():
        sys.exit(main())
