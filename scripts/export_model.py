#!/usr/bin/env python
r"""Exports a trained FGFA as two programs for one size of frames, and checks them against it.

    python scripts/export_model.py --output exported --size 720 1280 --formats torch onnx \
        --config-file configs/vid_mini/fgfa_flownet_s_rfcn_efficientnet_lite0.yaml \
        --opts MODEL.WEIGHTS model.pth

DIR gets frame.pt2, which runs once a frame, window.pt2, which runs once a key frame on what the
first gave for the frames around it, and export.json, which says what goes in and comes out. The
sizes, the window and the device are fixed; the number of detections varies, and boxes are in pixels
of the frames. Programs of the format "torch" need neither config nor checkpoint, but the operators
of torchvision and of `fgfa.layers`, which are there once they are imported:

    import itertools, json
    from collections import deque
    import numpy as np, torch, torchvision, fgfa.layers
    from PIL import Image

    torch.set_grad_enabled(False)
    frame, window = (torch.export.load(f"exported/{n}.pt2").module() for n in ("frame", "window"))
    info = json.load(open("exported/export.json"))
    height, width = info["input_size"]
    cache = deque(maxlen=info["reach"])
    for i, path in enumerate(itertools.chain(paths, [None] * info["lookahead"])):
        if path is not None:
            image = Image.open(path).convert("RGB").resize((width, height), Image.BILINEAR)
            kept = frame(torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous())
        cache.extend([kept] * (1 if cache else info["reach"]))  # first and last frame repeat
        if i >= info["lookahead"]:
            frames = list(cache)[:: info["frame_step"]]
            boxes, scores, classes = window(*map(torch.stack, zip(*frames)))
            print(i - info["lookahead"], boxes, scores, [info["class_names"][c] for c in classes])

Where channel_order is BGR, reverse the channels; where resized_by_factor is a number, frames are
resized by it with OpenCV. The format "onnx" (frame.onnx and window.onnx; `pip install
'fgfa[export]'`) has standard operators alone and needs nothing of fgfa: the warp is GridSample, and
NMS measures boxes in float32.

The check runs frames through the model, as VideoPredictor does, and through the files, and compares
the cached tensors of all frames, and each detection of at least --check-score with the nearest of
its class, both ways. It ends with an error above 1e-4 of the largest cached value, 0.1 pixels of
the frame, or 0.001 of a score; the files are then left to be looked at.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from detectron2.config import CfgNode

from fgfa.config import add_opts_argument, load_config
from fgfa.data.class_names import find_class_names
from fgfa.data.image_files import find_images, read_images
from fgfa.errors import InputError, one_sentence_errors
from fgfa.export import (
    FORMATS,
    Comparison,
    ExportPlan,
    Program,
    Tolerance,
    describe_tensors,
    detect,
    export_programs,
    kept_of,
    load_programs,
    save_programs,
    to_input,
    write_description,
)
from fgfa.modeling import FGFA
from fgfa.predictor import VideoPredictor

_RANDOM_FRAMES = 3


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="the folder")
    parser.add_argument(
        "--size",
        required=True,
        nargs=2,
        type=int,
        metavar=("HEIGHT", "WIDTH"),
        help="of the frames of the video, pixels; they are resized as in evaluation",
    )
    parser.add_argument(
        "--formats", nargs="+", choices=FORMATS, default=["torch"], help="default: torch"
    )
    parser.add_argument(
        "--images",
        nargs="+",
        metavar="GLOB",
        help=f"frames to check with, all of one video; default: {_RANDOM_FRAMES} random ones",
    )
    parser.add_argument(
        "--check-score",
        type=float,
        default=0.05,
        metavar="SCORE",
        help="least score of the detections that are compared (default: 0.05)",
    )
    add_opts_argument(parser)
    args = parser.parse_args(argv)
    if min(args.size) < 1:
        parser.error("--size is at least 1 1")
    return args


def facts_of(model: FGFA, cfg: CfgNode) -> dict:
    """What export.json says beside sizes."""
    numbers = [str(label) for label in range(cfg.MODEL.ROI_HEADS.NUM_CLASSES)]
    return {
        "channel_order": cfg.INPUT.FORMAT,
        "stride": model.backbone.output_shape()[model.feature_name].stride,
        "score_threshold": cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST,
        "detections_per_image": cfg.TEST.DETECTIONS_PER_IMAGE,
        "device": str(model.device),
        "class_names": list(find_class_names(cfg)) or numbers,
    }


def check_frames(args: argparse.Namespace) -> list[np.ndarray]:
    """The BGR frames to check with.

    Raises:
        InputError: if an image is not of the size that the programs are made for.
    """
    if args.images is None:
        random = np.random.default_rng(0)
        return list(random.integers(0, 256, (_RANDOM_FRAMES, *args.size, 3), np.uint8))
    paths = find_images(args.images)
    frames = list(read_images(paths))
    for path, frame in zip(paths, frames, strict=True):
        if list(frame.shape[:2]) != args.size:
            raise InputError(
                f"{path} is of {frame.shape[0]} x {frame.shape[1]} pixels and --size says "
                f"{args.size[0]} x {args.size[1]}; pass frames of that size"
            )
    return frames


def compare(
    programs: tuple[Program, Program],
    predictor: VideoPredictor,
    plan: ExportPlan,
    cfg: CfgNode,
    frames: Sequence[np.ndarray],
    min_score: float,
) -> Comparison:
    """Runs frames through programs and through the model."""
    comparison = Comparison(Tolerance(), min_score)
    model = predictor.model
    images = [to_input(frame, cfg).to(model.device) for frame in frames]
    results = detect(*programs, plan, images)
    for (kept, found), image, (_, wanted) in zip(results, images, predictor(frames), strict=True):
        comparison.add_frame(kept, kept_of(model, image))
        expected = (wanted.pred_boxes.tensor, wanted.scores, wanted.pred_classes)
        comparison.add_detections(found, expected)
    return comparison


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args.config_file, args.opts)
    predictor = VideoPredictor(cfg)
    model = predictor.model
    if not isinstance(model, FGFA):
        raise InputError(
            f"MODEL.META_ARCHITECTURE is {cfg.MODEL.META_ARCHITECTURE}; only FGFA is exported"
        )
    frames = check_frames(args)
    plan = ExportPlan.from_config(cfg, tuple(args.size))
    # torch.export warns of weights that are laid out channels-last when it saves them.
    model.to(memory_format=torch.contiguous_format)
    programs = export_programs(model, plan)
    for path in save_programs(*programs, args.output, args.formats):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    facts = plan.describe() | facts_of(model, cfg) | describe_tensors(*programs)
    write_description(args.output / "export.json", facts)
    for file_format in args.formats:
        loaded = load_programs(args.output, file_format)
        comparison = compare(loaded, predictor, plan, cfg, frames, args.check_score)
        print(f"{file_format}: {comparison}")
        comparison.check(f"the {file_format} program in {args.output}")


if __name__ == "__main__":
    with one_sentence_errors():
        main()
