r"""Makes still pictures of what FGFA sees in a video, such as those of the README.

    python scripts/make_pictures.py --config-file configs/moving_shapes/fgfa.yaml \
        --input "frames/*.JPEG" --output docs --opts MODEL.WEIGHTS model_final.pth

Of one run, it writes four pictures into the folder of --output: compare.jpg, a key frame detected
by itself and with the frames around it; weights.jpg and flow.jpg, the window that the key frame's
feature is aggregated from; and tracks.jpg, frames from all over the video with numbered objects.

The key frame is --frame, or else one that shows what aggregation is for: where it finds the most
objects beyond those of the frame alone, and, of such frames, the one with the longest flow.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from detectron2.structures import Instances
from tqdm import tqdm

from fgfa.config import add_opts_argument, add_threshold_argument, load_config
from fgfa.data.class_names import find_class_names
from fgfa.data.frame_choice import spread_frames
from fgfa.data.frame_source import (
    FrameSource,
    ImageSource,
    SourceFrame,
    VideoSource,
    choose_frames,
)
from fgfa.drawing import COMPARED, draw_instances, draw_window, side_by_side, tile
from fgfa.drawing.panels import with_width
from fgfa.errors import InputError, one_sentence_errors
from fgfa.files import atomic_write
from fgfa.modeling import Explanation
from fgfa.predictor import VideoPredictor
from fgfa.tracking import LINKED_SCORE, Tracker

_WIDTH = 1100  # pixels of a picture, which a README shows a little smaller
_LARGEST_FILE = 150_000  # bytes
_QUALITIES = (95, 90, 85, 80, 70, 60, 50, 40, 30, 20)
_TRACK_FRAMES = 4
_GAP = 4  # pixels between frames of tracks


@dataclass(frozen=True)
class Seen:
    """A frame and what the network made of it; the window's frames are numbered from 0."""

    frame: SourceFrame
    instances: Instances
    explanation: Explanation


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", nargs="+", metavar="IMAGE", help="images or quoted globs")
    source.add_argument("--video-input", metavar="FILE", help="a video file")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="first frame, from 0")
    parser.add_argument("--end", type=int, metavar="N", help="frame to stop before")
    parser.add_argument("--frame", type=int, metavar="N", help="key frame, from 0")
    add_threshold_argument(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    add_opts_argument(parser)
    return parser


def explain_all(source: FrameSource, predictor: VideoPredictor) -> list[Seen]:
    """Detects in all frames, which are kept, with numbers of tracks."""
    frames: list[SourceFrame] = []
    tracker = Tracker()

    def read() -> Iterator[np.ndarray]:
        for frame in source:
            frames.append(frame)
            yield frame.image

    results = tqdm(predictor.explain(read()), total=source.length, unit="frame")
    seen = [
        Seen(frames[index], tracker.update(instances), explanation)
        for index, instances, explanation in results
    ]
    if not seen:
        raise InputError("there is no frame between --start and --end; give other numbers")
    return seen


def find_key(seen: Sequence[Seen], number: int | None, threshold: float) -> int:
    """The place of the key frame, which is chosen (see above) where `number` is None.

    Raises:
        InputError: if there is no frame of that number.
    """
    numbers = [one.frame.number for one in seen]
    if number is None:
        return max(range(len(seen)), key=lambda place: _gain(seen[place], threshold))
    if number not in numbers:
        raise InputError(f"frame {number} is not among {numbers[0]}..{numbers[-1]}, which are read")
    return numbers.index(number)


def _gain(one: Seen, threshold: float) -> tuple[int, float]:
    alone, together = (
        int((instances.scores >= threshold).sum())
        for instances in (one.explanation.single_frame, one.instances)
    )
    return together - alone, float(one.explanation.flow.norm(dim=1).mean())


def draw_enlarged(
    image: np.ndarray,
    instances: Instances,
    width: int,
    class_names: Sequence[str],
    min_score: float,
) -> np.ndarray:
    """A frame of another width with detections; lines and letters are not scaled."""
    picture = with_width(image, width)
    boxes = instances.pred_boxes.clone()
    boxes.scale(picture.shape[1] / image.shape[1], picture.shape[0] / image.shape[0])
    scaled = Instances(picture.shape[:2], **instances.get_fields())
    scaled.pred_boxes = boxes
    return draw_instances(picture, scaled, class_names, min_score)


def make_pictures(
    seen: Sequence[Seen], key: int, class_names: Sequence[str], min_score: float
) -> dict[str, np.ndarray]:
    """The pictures, BGR, by name.

    Args:
        seen: all frames.
        key: place of the key frame among them.
        class_names: a name for each class.
        min_score: detections of a lower score are left out.
    """
    draw = partial(draw_enlarged, class_names=class_names, min_score=min_score)
    one = seen[key]
    window = [seen[place].frame.image for place in one.explanation.frames]
    together = Instances(one.instances.image_size, **one.instances.get_fields())
    together.remove("track_ids")
    halves = [
        draw(one.frame.image, instances, _WIDTH // 2)
        for instances in (one.explanation.single_frame, together)
    ]
    return {
        "compare": side_by_side(*halves, COMPARED),
        "weights": draw_window(window, one.explanation, _WIDTH, ["weights"]),
        "flow": draw_window(window, one.explanation, _WIDTH, ["flow"]),
        "tracks": _track_row(seen, draw),
    }


def _track_row(seen: Sequence[Seen], draw: Callable[..., np.ndarray]) -> np.ndarray:
    """Frames from the first to the last, in a row, each detection with its track's number."""
    shown = [
        draw(seen[place].frame.image, seen[place].instances, _WIDTH // _TRACK_FRAMES - _GAP)
        for place in spread_frames(len(seen), _TRACK_FRAMES)
    ]
    rims = [cv2.copyMakeBorder(image, 0, 0, 0, _GAP, cv2.BORDER_CONSTANT) for image in shown]
    return tile(rims, len(rims))[:, :-_GAP]


def write_jpeg(path: Path, picture: np.ndarray) -> None:
    """Writes a picture in the best quality that makes no large file."""
    for quality in _QUALITIES:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) <= _LARGEST_FILE:
            break
    with atomic_write(path) as temporary:
        temporary.write_bytes(data.tobytes())


def main(argv: Sequence[str] | None = None) -> None:
    args = make_parser().parse_args(argv)
    chosen = choose_frames(args.start, args.end)
    source = (
        ImageSource(args.input, chosen) if args.input else VideoSource(args.video_input, chosen)
    )
    cfg = load_config(args.config_file, args.opts)
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = min(args.confidence_threshold, LINKED_SCORE)
    cfg.freeze()
    seen = explain_all(source, VideoPredictor(cfg))
    key = find_key(seen, args.frame, args.confidence_threshold)
    pictures = make_pictures(seen, key, find_class_names(cfg), args.confidence_threshold)
    for name, picture in pictures.items():
        write_jpeg(args.output / f"{name}.jpg", picture)
    print(f"Key frame {seen[key].frame.number}: {', '.join(pictures)} in {args.output}")


if __name__ == "__main__":
    with one_sentence_errors():
        main()
