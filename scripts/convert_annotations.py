#!/usr/bin/env python
r"""Converts annotations of your own videos to COCO-VID JSON, which fgfa trains and evaluates on.

    # MOT: folders of sequences with gt/gt.txt and, where there is one, seqinfo.ini
    python scripts/convert_annotations.py mot MOT17/train/MOT17-* --images MOT17/train \
        --output mot17.json --classes pedestrian
    # "CVAT for video 1.1": one XML file a video, named like it
    python scripts/convert_annotations.py cvat labels/*.xml --videos clips --images frames \
        --output cvat.json --classes cat dog
    # PASCAL VOC: a folder of XML files a video
    python scripts/convert_annotations.py voc labels/* --images frames --output voc.json

The frames of video NAME are the images in the folder NAME of --images. Where there is none, it is
made of the file NAME.mp4 (or of any other suffix) in the folder of --videos.

Name the classes when you convert several sets for one model, so that all have them in one order.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from fgfa.data.annotations.conversion import FORMATS, convert
from fgfa.errors import one_sentence_errors


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("annotations", type=Path, nargs="+", help="a file or folder for each video")
    parser.add_argument(
        "--images", metavar="FOLDER", type=Path, required=True, help="holds a folder for each video"
    )
    parser.add_argument("--videos", metavar="FOLDER", type=Path, help="holds video files")
    parser.add_argument("--output", metavar="OUT.json", type=Path, required=True)
    parser.add_argument(
        "--classes",
        metavar="NAME",
        nargs="+",
        help="the classes in their order; others are left out (default: all there are, by name)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    counts = convert(
        args.format,
        args.annotations,
        args.output,
        image_root=args.images,
        videos=args.videos,
        class_names=args.classes,
    )
    print(tabulate(counts.items(), ["class", "boxes"], tablefmt="pipe"))
    print(
        f"{args.output}: {len(args.annotations)} videos; file names are relative to {args.images}"
    )


if __name__ == "__main__":
    with one_sentence_errors():
        main()
