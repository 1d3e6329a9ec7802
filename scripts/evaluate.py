#!/usr/bin/env python
"""Scores prediction files without the model: AP50 of all, slow, medium and fast objects.

    python scripts/evaluate.py --dataset vid_mini_val --predictions output/detections.txt
    python scripts/evaluate.py --annotations datasets/ILSVRC2015 --image-set VID_val_videos \
        --motion-iou imagenet_vid_groundtruth_motion_iou.mat --predictions det_0.txt det_1.txt

Prediction files hold one `frame_id class score x1 y1 x2 y2` a line. Images are not needed.
"""

import argparse
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from detectron2.data import DatasetCatalog

from fgfa.data import register_imagenet_vid
from fgfa.errors import one_sentence_errors
from fgfa.evaluation.coco_protocol import CocoProtocol
from fgfa.evaluation.motion_table import results_of
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.prediction_file import read_predictions
from fgfa.evaluation.records import Detections
from fgfa.evaluation.registered_dataset import registered_dataset
from fgfa.evaluation.results_file import write_results
from fgfa.evaluation.seq_nms import seq_nms_dataset

_PROTOCOLS = {"msra": MsraProtocol, "coco": CocoProtocol}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", metavar="NAME", help="a registered data set")
    source.add_argument(
        "--annotations",
        metavar="ROOT",
        type=Path,
        help="an ILSVRC2015 folder, or its Annotations folder; needs --image-set",
    )
    parser.add_argument("--image-set", metavar="FILE", help="list of frames or videos in ROOT")
    parser.add_argument("--predictions", metavar="FILE", nargs="+", required=True)
    parser.add_argument(
        "--motion-iou", metavar="MAT", default="", help="default: computed from track ids"
    )
    parser.add_argument(
        "--protocol",
        choices=_PROTOCOLS,
        default="msra",
        help="rules of the original (default), or of COCO",
    )
    parser.add_argument(
        "--seq-nms",
        action="store_true",
        help="apply Seq-NMS first; the predictions must be those before NMS",
    )
    parser.add_argument("--output", metavar="OUT.json", type=Path)
    args = parser.parse_args(argv)
    if (args.annotations is None) != (args.image_set is None):
        parser.error("--annotations and --image-set go together")
    return args


def load_dataset(args: argparse.Namespace) -> tuple[list[dict], list[str]]:
    """Frame dicts and class names of the data set of the command line."""
    if args.dataset is not None:
        return registered_dataset(args.dataset)
    root = args.annotations.absolute()
    root = root.parent if root.name == "Annotations" else root
    name = f"{args.image_set} of {root}"
    if name not in DatasetCatalog:
        register_imagenet_vid(name, root, args.image_set)
    return registered_dataset(name)


def main(argv: Sequence[str] | None = None) -> "OrderedDict[str, OrderedDict[str, float]]":
    args = parse_args(argv)
    dicts, class_names = load_dataset(args)
    protocol = _PROTOCOLS[args.protocol](dicts, class_names, args.motion_iou)
    detections = Detections.concatenate(
        [read_predictions(path, len(class_names)) for path in args.predictions]
    )
    if args.seq_nms:
        detections = seq_nms_dataset(dicts, detections)
    tables = protocol.score(detections)
    print(*tables, sep="\n\n")
    results = results_of(tables)
    if args.output is not None:
        write_results(args.output, results)
    return results


if __name__ == "__main__":
    with one_sentence_errors():
        main()
