#!/usr/bin/env python
r"""Shows detections in a video, in images of a video, or of a camera.

    python projects/FGFA/demo.py --config-file configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml \
        --video-input street.mp4 --output detected.mp4 detected.jsonl --opts MODEL.WEIGHTS model.pth
    python projects/FGFA/demo.py --config-file ... --input "frames/*.jpg" --output detected/
    python projects/FGFA/demo.py --config-file ... --video-input rtsp://camera/stream --window
    python projects/FGFA/demo.py --config-file ... --webcam --compare --show weights flow

The images of --input are one video, in natural order of their names. Outputs are told apart by
their names: an .mp4 video, .jsonl for a line of detections per frame, or a folder of annotated
frames. Frames keep the numbers and times of the input. Without an output, or with --window, a
window opens, which the escape key closes. Ctrl-C and SIGTERM end with files of the frames so far.
Cameras and streams without an end are detected in without delay, from their past frames only.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from detectron2.config import CfgNode
from detectron2.structures import Instances
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from fgfa.config import add_opts_argument, add_threshold_argument, load_config
from fgfa.data.class_names import find_class_names
from fgfa.data.corrupt_frames import skips_corrupt_frames
from fgfa.data.frame_source import (
    FrameSource,
    ImageSource,
    SourceFrame,
    VideoSource,
    choose_frames,
)
from fgfa.data.read_ahead import read_ahead
from fgfa.drawing import COMPARED, draw_instances, draw_window, side_by_side
from fgfa.errors import one_sentence_errors
from fgfa.frame_sinks import FrameSink, WindowSink, open_sink
from fgfa.modeling import Explanation
from fgfa.predictor import VideoPredictor
from fgfa.stop_signals import StopSignals
from fgfa.tracking import LINKED_SCORE, Tracker


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", nargs="+", metavar="IMAGE", help="images or quoted globs")
    source.add_argument(
        "--video-input", metavar="FILE_OR_URL", help="a video file, or a stream (rtsp, http, ...)"
    )
    source.add_argument(
        "--webcam", nargs="?", type=int, const=0, metavar="N", help="a camera (default: the first)"
    )
    parser.add_argument("--start", type=int, default=0, metavar="N", help="first frame, from 0")
    parser.add_argument("--end", type=int, metavar="N", help="frame to stop before")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="take every Nth frame")
    parser.add_argument(
        "--output", nargs="+", default=[], metavar="PATH", help=".mp4, .jsonl, folder; or several"
    )
    parser.add_argument("--window", action="store_true", help="open a window beside the outputs")
    add_threshold_argument(parser)
    parser.add_argument("--track", action="store_true", help="link boxes over time, with numbers")
    parser.add_argument(
        "--compare", action="store_true", help="also show detections without aggregation, beside"
    )
    parser.add_argument(
        "--show",
        nargs="+",
        default=[],
        choices=["weights", "flow"],
        help="show the window that a frame is detected from, and what it takes from each frame",
    )
    add_opts_argument(parser)
    return parser


def open_source(args: argparse.Namespace, skips_corrupt: bool) -> FrameSource:
    """The frames of the command line."""
    chosen = choose_frames(args.start, args.end, args.stride)
    if args.input:
        return ImageSource(args.input, chosen, skips_corrupt)
    return VideoSource(args.video_input if args.webcam is None else args.webcam, chosen)


def setup(args: argparse.Namespace) -> CfgNode:
    """The config of the command line."""
    cfg = load_config(args.config_file, args.opts)
    threshold = args.confidence_threshold
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = (
        min(threshold, LINKED_SCORE) if args.track else threshold
    )
    cfg.freeze()
    return cfg


# A frame, its detections at or above the threshold, and what a viewer sees, if anyone does.
Result = tuple[SourceFrame, Instances, np.ndarray | None]


@dataclass(frozen=True)
class Detected:
    """A frame, its detections, and, where that is asked for, why they are what they are.

    Attributes:
        window: images (H, W, 3) at the positions of the explanation's window.
    """

    frame: SourceFrame
    instances: Instances
    explanation: Explanation | None = None
    window: Sequence[np.ndarray] = field(default_factory=list)


def detect(
    frames: Iterable[SourceFrame], predictor: VideoPredictor, explains: bool
) -> Iterator[Detected]:
    """Detects in frames, and keeps those that wait for their detections or are in the window."""
    kept: dict[int, SourceFrame] = {}

    def read() -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames):
            kept[index] = frame
            yield frame.image

    def forget(end: int) -> None:
        for index in [index for index in kept if index < end]:
            del kept[index]

    if not explains:
        for index, instances in predictor(read()):
            yield Detected(kept[index], instances)
            forget(index + 1)
        return
    for index, instances, explanation in predictor.explain(read()):
        window = [kept[number].image for number in explanation.frames]
        yield Detected(kept[index], instances, explanation, window)
        forget(min(explanation.frames))


def finish(
    results: Iterable[Detected], args: argparse.Namespace, class_names: Sequence[str], draws: bool
) -> Iterator[Result]:
    """Links boxes over time, leaves out low scores, and draws, as the command line says."""
    threshold = args.confidence_threshold
    draw = partial(draw_instances, class_names=class_names, min_score=threshold)
    tracker = Tracker() if args.track else None
    for detected in results:
        instances = tracker.update(detected.instances) if tracker else detected.instances
        instances = instances[instances.scores >= threshold]
        picture = make_picture(detected, instances, draw, args) if draws else None
        yield detected.frame, instances, picture


def make_picture(
    detected: Detected,
    instances: Instances,
    draw: Callable[[np.ndarray, Instances], np.ndarray],
    args: argparse.Namespace,
) -> np.ndarray:
    """What a viewer sees of a frame: BGR, uint8, (height, width, 3)."""
    image, explanation = detected.frame.image, detected.explanation
    picture = draw(image, instances)
    if args.compare:
        picture = side_by_side(draw(image, explanation.single_frame), picture, COMPARED)
    if args.show:
        window = draw_window(detected.window, explanation, picture.shape[1], args.show)
        picture = np.vstack([picture, window])
    return picture


def write_all(
    results: Iterable[Result], sinks: Sequence[FrameSink], signals: StopSignals
) -> BaseException | None:
    """Writes frames to all sinks, and gives the exception that ended it early, if any.

    Raises:
        BaseException: what ended it before the first frame was written.
    """
    is_written = False
    try:
        for result in results:
            with signals.held():  # so that all outputs have the same frames
                for sink in sinks:
                    sink.write(*result)
                is_written = True
    except BaseException as error:
        if not is_written:
            raise
        return error
    return None


def main(argv: Sequence[str] | None = None) -> None:
    args = make_parser().parse_args(argv)
    cfg = setup(args)
    source = open_source(args, skips_corrupt_frames(cfg))
    class_names = find_class_names(cfg)
    predictor = VideoPredictor(cfg, causal=source.live)
    with StopSignals() as signals, logging_redirect_tqdm(), ExitStack() as stack:
        sinks = [stack.enter_context(open_sink(name, source, class_names)) for name in args.output]
        if args.window or not sinks:
            sinks.append(WindowSink())
        draws = any(sink.takes_pictures for sink in sinks)
        explains = draws and bool(args.compare or args.show)
        # What is live would grow old while it waits.
        frames = source if source.live else read_ahead(source)
        detected = detect(frames, predictor, explains)
        results = finish(detected, args, class_names, draws)
        ended_by = write_all(tqdm(results, total=source.length, unit="frame"), sinks, signals)
    if source.left_out:
        print(f"Left out, since they cannot be read: {len(source.left_out)} frames or gaps.")
    if isinstance(ended_by, KeyboardInterrupt):
        print("Stopped; the frames until here are kept.")
    elif ended_by:
        raise ended_by


if __name__ == "__main__":
    with one_sentence_errors():
        main()
