#!/usr/bin/env python
r"""Shows detections in a video, in images of a video, or of a camera.

    python projects/FGFA/demo.py --config-file configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml \
        --video-input street.mp4 --output street_detected.mp4 --opts MODEL.WEIGHTS model.pth
    python projects/FGFA/demo.py --config-file ... --input "frames/*.jpg" --output detected/
    python projects/FGFA/demo.py --config-file ... --webcam

The images of --input are one video, in natural order of their names. An --output that ends in .mp4
is a video, any other a folder of annotated frames; without it a window opens, which the escape key
closes. Ctrl-C ends with a video that can be played. A camera is detected in without delay, from
its past frames only.
"""

import argparse
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.structures import Instances
from tqdm import tqdm

from fgfa.config import load_config
from fgfa.data.video_file import (
    DEFAULT_FPS,
    VideoReader,
    VideoWriter,
    find_images,
    read_images,
)
from fgfa.drawing import draw_instances
from fgfa.errors import InputError, one_sentence_errors
from fgfa.files import atomic_write
from fgfa.predictor import VideoPredictor

_WINDOW = "FGFA"
_ESCAPE = 27


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", nargs="+", metavar="IMAGE", help="images or quoted globs")
    source.add_argument("--video-input", metavar="FILE", help="a video file")
    source.add_argument("--webcam", action="store_true", help="the first camera")
    parser.add_argument("--output", metavar="PATH", help="an .mp4 file, or a folder")
    parser.add_argument(
        "--confidence-threshold",
        type=float,
        default=0.5,
        metavar="SCORE",
        help="lowest score that is shown, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--opts",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="KEY VALUE",
        help="changes of the config, such as MODEL.WEIGHTS model.pth; must come last",
    )
    return parser


def setup(args: argparse.Namespace) -> CfgNode:
    """The config of the command line."""
    cfg = load_config(args.config_file, args.opts)
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = args.confidence_threshold
    cfg.freeze()
    return cfg


def find_class_names(cfg: CfgNode) -> Sequence[str]:
    """The classes of the first test set, or none where it is not registered here."""
    metadata = MetadataCatalog.get(cfg.DATASETS.TEST[0]) if cfg.DATASETS.TEST else None
    return metadata.get("thing_classes", ()) if metadata else ()


class Source:
    """Where frames come from.

    Attributes:
        frames: BGR images, uint8, (H, W, 3), read as they are asked for.
        names: a file name for each annotated frame.
        length: the number of frames, if it is known.
        fps: frames a second.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        if args.input:
            paths = find_images(args.input)
            self.frames, self.length, self.fps = read_images(paths), len(paths), DEFAULT_FPS
            self.names = (Path(path).name for path in paths)
        else:
            reader = VideoReader(0 if args.webcam else args.video_input)
            self.frames, self.length, self.fps = iter(reader), reader.length, reader.fps
            self.names = (f"{index:06d}.jpg" for index in itertools.count())


def annotate(
    frames: Iterable[np.ndarray],
    predictor: VideoPredictor,
    draw: Callable[[np.ndarray, Instances], np.ndarray],
) -> Iterator[np.ndarray]:
    """Yields annotated frames, and keeps those that wait for their detections."""
    waiting: deque[np.ndarray] = deque()

    def read() -> Iterator[np.ndarray]:
        for frame in frames:
            waiting.append(frame)
            yield frame

    for _, instances in predictor(read()):
        yield draw(waiting.popleft(), instances)


def open_sink(output: str | None, source: Source, stack: ExitStack) -> Callable[[np.ndarray], None]:
    """Gives the function that takes annotated frames; `stack` ends it."""
    if output is None:
        return show
    path = Path(output)
    if path.suffix.lower() == ".mp4":
        temporary = stack.enter_context(atomic_write(path))
        return stack.enter_context(VideoWriter(temporary, source.fps)).write
    if path.suffix and not path.is_dir():
        raise InputError(
            f"--output {output} is neither an .mp4 file nor a folder; name one of them"
        )
    return lambda frame: write_image(path / next(source.names), frame)


def write_image(path: Path, frame: np.ndarray) -> None:
    """Writes a BGR image (H, W, 3), in the format that its name says."""
    with atomic_write(path) as temporary:
        cv2.imwrite(str(temporary), frame)


def show(frame: np.ndarray) -> None:
    """Shows a BGR image (H, W, 3) in the window; the escape key acts as Ctrl-C."""
    try:
        cv2.imshow(_WINDOW, frame)
        if cv2.waitKey(1) == _ESCAPE:
            raise KeyboardInterrupt
    except cv2.error as error:
        raise InputError(
            "no window can be opened here; give --output, or install opencv-python in place of "
            "opencv-python-headless"
        ) from error


def main(argv: Sequence[str] | None = None) -> None:
    args = make_parser().parse_args(argv)
    source = Source(args)
    cfg = setup(args)
    predictor = VideoPredictor(cfg, causal=args.webcam)
    draw = partial(draw_instances, class_names=find_class_names(cfg))
    with ExitStack() as stack:
        write = open_sink(args.output, source, stack)
        annotated = annotate(source.frames, predictor, draw)
        has_written = False
        try:
            for frame in tqdm(annotated, total=source.length, unit="frame"):
                write(frame)
                has_written = True
        except KeyboardInterrupt:
            if not has_written:
                raise
            print("Stopped; the frames until here are kept.")


if __name__ == "__main__":
    with one_sentence_errors():
        main()
