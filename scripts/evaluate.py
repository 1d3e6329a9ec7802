#!/usr/bin/env python
r"""Scores prediction files without the model: AP50 of all, slow, medium and fast objects.

    python scripts/evaluate.py --dataset vid_mini_val --predictions output/detections.txt
    python scripts/evaluate.py --annotations datasets/ILSVRC2015 --image-set VID_val_videos \
        --motion-iou imagenet_vid_groundtruth_motion_iou.mat --predictions det_0.txt det_1.txt

Each `--predictions` is one model, whose files are parts of one result. Several models are compared
with the first, and `--html` writes a page with plots and the worst videos:

    python scripts/evaluate.py --dataset vid_mini_val --html comparison.html --names R-FCN FGFA \
        --predictions rfcn/detections.txt --predictions fgfa/detections.txt

Prediction files are official text, one `frame_id class score x1 y1 x2 y2` a line, COCO results or
Detectron2's predictions. Images are not needed, but the page shows them where they are there.
"""

import argparse
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog

from fgfa.data import register_imagenet_vid
from fgfa.errors import one_sentence_errors
from fgfa.evaluation.analysis import analyze, by_model, number_videos, results_of_analyses
from fgfa.evaluation.analysis_tables import tables_of
from fgfa.evaluation.bootstrap import draw_videos
from fgfa.evaluation.coco_protocol import CocoProtocol
from fgfa.evaluation.motion_table import results_of
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.official_text import rounded
from fgfa.evaluation.prediction_file import read_prediction_files
from fgfa.evaluation.records import Detections
from fgfa.evaluation.registered_dataset import category_ids, registered_dataset
from fgfa.evaluation.results_file import write_results
from fgfa.evaluation.seq_nms import seq_nms_dataset
from fgfa.evaluation.track_linking import link_tracks
from fgfa.report import write_page

_PROTOCOLS = {"msra": MsraProtocol, "coco": CocoProtocol}
_SAMPLES = 1000


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
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        nargs="+",
        action="append",
        required=True,
        help="the files of one model; once more for each model to compare with the first",
    )
    parser.add_argument(
        "--names", metavar="NAME", nargs="+", help="of the models; default: of files or folders"
    )
    parser.add_argument(
        "--motion-iou", metavar="MAT", default="", help="default: computed from track ids"
    )
    parser.add_argument(
        "--link-tracks",
        action="store_true",
        help="guess track ids from overlaps, for data that has none",
    )
    parser.add_argument(
        "--protocol",
        choices=_PROTOCOLS,
        default="msra",
        help="rules of the original (default), or of COCO, which gives the table of AP alone",
    )
    parser.add_argument(
        "--seq-nms",
        action="store_true",
        help="apply Seq-NMS first; the predictions must be those before NMS, such as the "
        "raw_detections.txt that TEST.SEQ_NMS.SAVE_RAW_BOXES makes train_net.py write",
    )
    parser.add_argument(
        "--nms-iou",
        metavar="IOU",
        type=float,
        default=0.3,
        help="above which NMS behind Seq-NMS drops a box (default: 0.3)",
    )
    parser.add_argument(
        "--detections-per-image",
        metavar="N",
        type=int,
        default=300,
        help="how many to leave behind Seq-NMS, all below 0 (default: 300)",
    )
    parser.add_argument(
        "--bootstrap",
        metavar="N",
        type=int,
        help="samples of the videos for 95 %% intervals, 0 for none; "
        f"default: {_SAMPLES} for a page or several models",
    )
    parser.add_argument("--output", metavar="OUT.json", type=Path, help="the numbers")
    parser.add_argument("--html", metavar="OUT.html", type=Path, help="a page about them")
    args = parser.parse_args(argv)
    complete(args, parser)
    return args


def complete(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Fills in defaults that depend on other options; ends the program where options do not fit."""
    if (args.annotations is None) != (args.image_set is None):
        parser.error("--annotations and --image-set go together")
    if args.protocol == "coco" and (args.html is not None or args.bootstrap):
        parser.error("--html and --bootstrap go by the rules of the original: --protocol msra")
    if args.bootstrap is None:
        args.bootstrap = _SAMPLES if args.html is not None or len(args.predictions) > 1 else 0
    args.names = args.names or names_of(args.predictions)
    if args.bootstrap < 0:
        parser.error("--bootstrap is at least 0")
    if args.link_tracks and args.motion_iou:
        parser.error("--link-tracks has no use beside --motion-iou; leave one of them out")
    if len(set(args.names)) != len(args.predictions) or len(args.names) != len(args.predictions):
        parser.error("--names gives a name of its own to each --predictions")


def names_of(groups: Sequence[Sequence[str]]) -> list[str]:
    """Names of models from their first files: the file's, or its folder's where these agree."""
    paths = [Path(files[0]) for files in groups]
    candidates = [
        [path.stem for path in paths],
        [path.absolute().parent.name for path in paths],
    ]
    distinct = (names for names in candidates if len(set(names)) == len(paths))
    return next(distinct, [str(path) for path in paths])


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


def load_detections(
    files: Sequence[str], dicts: Sequence[dict], num_classes: int, args: argparse.Namespace
) -> Detections:
    """The detections of one model, after Seq-NMS where the command line asks for it."""
    image_ids = np.array([frame["image_id"] for frame in dicts], np.int64)
    ids_in_json = category_ids(args.dataset) if args.dataset is not None else None
    detections = read_prediction_files(files, num_classes, image_ids, ids_in_json)
    if not args.seq_nms:
        return detections
    # Rounded as the evaluator rounds them, which can make scores equal.
    return rounded(seq_nms_dataset(dicts, detections, args.nms_iou, args.detections_per_image))


def score_by_coco(
    protocol: CocoProtocol, models: Iterable[tuple[str, Detections]]
) -> "OrderedDict[str, Any]":
    """Prints each model's tables; gives the results, by model where there are several."""
    results = OrderedDict()
    for name, detections in models:
        tables = protocol.score(detections)
        print(name, *tables, sep="\n\n", end="\n\n")
        results[name] = results_of(tables)
    return by_model(results)


def main(argv: Sequence[str] | None = None) -> "OrderedDict[str, Any]":
    args = parse_args(argv)
    dicts, class_names = load_dataset(args)
    if args.link_tracks:
        dicts = link_tracks(dicts)
    protocol = _PROTOCOLS[args.protocol](dicts, class_names, args.motion_iou)
    models = (
        (name, load_detections(files, dicts, len(class_names), args))
        for name, files in zip(args.names, args.predictions, strict=True)
    )
    if args.protocol == "coco":
        results = score_by_coco(protocol, models)
    else:
        videos = number_videos(dicts)
        samples = draw_videos(videos.max() + 1, args.bootstrap)
        analyses = [analyze(*model, protocol, videos, samples) for model in models]
        results = results_of_analyses(analyses)
        print(*tables_of(analyses), sep="\n\n")
        if args.html is not None:
            title = f"Evaluation on {args.dataset or args.image_set}"
            write_page(args.html, title, analyses, dicts, videos)
    if args.output is not None:
        write_results(args.output, results)
    return results


if __name__ == "__main__":
    with one_sentence_errors():
        main()
