#!/usr/bin/env python
"""Converts weights of other implementations, the original's MXNet ones first, to a checkpoint.

    python scripts/convert_weights.py rfcn_fgfa_flownet_vid-0000.params fgfa.pth
    python scripts/convert_weights.py resnet_v1_101-0000.params R-101.pth
    python scripts/convert_weights.py flownet-0000.params flownet.pth
    python scripts/convert_weights.py --list --source mmtracking

SRC is an MXNet .params file of the original (FGFA, the single-frame R-FCN, or what their training
starts from: the ImageNet backbone and the flow network), or a PyTorch checkpoint of mmtracking,
mega.pytorch or FlowNetS. Every array of the file must be known and every weight of the model must
be there. A training starts from the two parts with MODEL.WEIGHTS R-101.pth
MODEL.FLOW_NET.WEIGHTS flownet.pth. A model is for the config that is printed, for example

    python projects/FGFA/train_net.py --eval-only \\
        --config-file configs/imagenet_vid/fgfa_rfcn_R_101.yaml MODEL.WEIGHTS fgfa.pth

which evaluates it on ImageNet VID. To run a list of images, as the frames of one video, at a radius
of 2 (a window of 5 frames), and read detections:

    import cv2
    from fgfa import VideoPredictor, load_config

    cfg = load_config(
        "configs/imagenet_vid/fgfa_rfcn_R_101.yaml",
        ["MODEL.WEIGHTS", "fgfa.pth", "MODEL.FGFA.TEST_RADIUS", 2],
    )
    frames = (cv2.imread(path) for path in paths)
    for index, instances in VideoPredictor(cfg)(frames):
        instances.pred_boxes.tensor  # (N, 4), x1 y1 x2 y2 in pixels of the frame
        instances.scores             # (N,)
        instances.pred_classes       # (N,), 0-29; the original counts them from 1

Frames are resized as the original does. VideoPredictor(cfg)(frames, resized_by=0.78125) takes
frames that were resized by that factor before as they are, and gives boxes in pixels of the frames
before that, as the original: its last NMS counts these pixels.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.modeling import build_model

from fgfa import load_config
from fgfa.convert import flownet, mega, mmtracking, mxnet
from fgfa.convert.mxnet_file import is_mxnet_file, read_checkpoint
from fgfa.convert.name_table import FLOW_NET, Source, check_complete, choose_source, rename
from fgfa.convert.torch_file import read_state_dict
from fgfa.errors import InputError, one_sentence_errors
from fgfa.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("src", metavar="SRC", type=Path, nargs="?", help="the file to convert")
    parser.add_argument("dst", metavar="DST", type=Path, nargs="?", help="the .pth file to write")
    parser.add_argument(
        "--source",
        choices=["mxnet", "mmtracking", "mega", "flownet"],
        help="the implementation that wrote SRC; default: guessed from the names in it",
    )
    parser.add_argument(
        "--box-weights",
        choices=["test", "train"],
        default="test",
        help="what the plain box weights of an MXNet file are: for inference, as the original's "
        "test program takes them where the file has no twins named *_test (default); or of a "
        "training checkpoint, before the multiplication with the standard deviations",
    )
    parser.add_argument(
        "--list", action="store_true", help="print which names of --source become which of ours"
    )
    args = parser.parse_args(argv)
    if args.list and args.source is None:
        parser.error("--list needs --source")
    if not args.list and args.dst is None:
        parser.error("SRC and DST are required")
    return args


def sources_of(name: str | None, box_weights: mxnet.BoxWeights) -> list[Source]:
    """The kinds of files of an implementation, or of all that are written by PyTorch."""
    if name == "mxnet":
        return list(mxnet.sources(box_weights))
    sources = (*mmtracking.SOURCES, *mega.SOURCES, *flownet.SOURCES)
    return [source for source in sources if name in (None, source.name)]


def print_tables(sources: Sequence[Source]) -> None:
    for source in sources:
        print(f"{source.name}, {source.holds}: {source.weights_key} of {source.config}")
        for rule in source.rules:
            note = f"  ({rule.note})" if rule.note else ""
            print(f"    {rule.pattern} -> {rule.target or 'not needed'}{note}")


def check_paths(src: Path, dst: Path) -> None:
    if not src.is_file():
        raise InputError(f"{src} does not exist or is no file; check the path")
    if dst.suffix != ".pth":
        raise InputError(f"{dst} does not end in .pth, by which checkpoints are known; rename it")
    if dst.exists() and dst.samefile(src):
        raise InputError(f"{dst} is the file to convert itself; choose another name")


def model_shapes(source: Source) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the part of our model that a file of this kind holds."""
    cfg = load_config(str(ROOT / source.config), ["MODEL.DEVICE", "meta"])
    with torch.device("meta"):
        state = build_model(cfg).state_dict()
    return {name: tuple(v.shape) for name, v in state.items() if name.startswith(source.part)}


def convert(src: Path, sources: Sequence[Source]) -> tuple[Source, dict[str, torch.Tensor]]:
    """What kind of file it is, and its weights by our names."""
    arrays = read_checkpoint(src) if sources[0].name == "mxnet" else read_state_dict(src)
    source = choose_source(arrays, sources, str(src))
    converted = rename(source.prepare(arrays), source.rules, str(src))
    check_complete(converted, model_shapes(source), str(src), source.rules)
    return source, {name: torch.from_numpy(array) for name, array in converted.items()}


def write(weights: dict[str, torch.Tensor], source: Source, dst: Path) -> None:
    if source.part == FLOW_NET:  # this key is loaded into the flow network alone
        weights = {name.removeprefix(FLOW_NET): weight for name, weight in weights.items()}
    try:
        with atomic_write(dst) as temporary:
            torch.save({"model": weights}, temporary)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{dst} cannot be written ({error}); choose another place") from error


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if args.list:
        print_tables(sources_of(args.source, args.box_weights))
        return
    check_paths(args.src, args.dst)
    name = args.source or ("mxnet" if is_mxnet_file(args.src) else None)
    source, weights = convert(args.src, sources_of(name, args.box_weights))
    write(weights, source, args.dst)
    print(f"{args.src}: {source.holds} of {source.name}, {len(weights)} weights")
    print(f"{args.dst}: use it as {source.weights_key} of {source.config}")


if __name__ == "__main__":
    with one_sentence_errors():
        main()
