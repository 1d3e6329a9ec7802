"""Annotations of MOT Challenge: a line of text for each box."""

import configparser
import csv
import math
from collections.abc import Sequence
from pathlib import Path

from fgfa.data.annotations.video_boxes import FrameBox, VideoBoxes, VideoImages
from fgfa.errors import InputError
from fgfa.files import refuse_special

# Names of the class numbers from 1 in MOT16, MOT17 and MOT20 (arXiv 1603.00831, table 3).
MOT_CLASSES = (
    "pedestrian",
    "person_on_vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non_motorized_vehicle",
    "static_person",
    "distractor",
    "occluder",
    "occluder_on_the_ground",
    "occluder_full",
    "reflection",
    "crowd",
)
_EXPECTED = "frame, id, left, top, width, height, confidence and, where there are classes, class"


def mot_text(path: Path) -> Path:
    """The text file of a sequence: itself, or `gt/gt.txt` in the folder of the sequence."""
    return path / "gt" / "gt.txt" if path.is_dir() else path


def mot_name(path: Path) -> str:
    """Name of the sequence: that of the folder which holds `gt` or `det`."""
    return mot_text(path).absolute().parents[1].name


def read_mot(path: Path, images: VideoImages) -> VideoBoxes:
    """Reads a sequence.

    Each line is `frame,id,left,top,width,height,confidence`, and behind that `class,visibility`
    (MOT16 and later) or `x,y,z` (MOT15 and detections), which stand for class 1. Frames and pixels
    count from 1. Boxes of confidence 0 are those that MOT does not score, and are left out; an id
    below 0 stands for none. Classes are named in `labels.txt` beside the text file, a line each, as
    CVAT writes it, or else as in MOT16. Where there is a `seqinfo.ini`, its `seqLength`, `imWidth`
    and `imHeight` must be those of the frames.

    Args:
        path: folder of the sequence, or its `gt/gt.txt` or `det/det.txt`.
        images: frames of the sequence.

    Raises:
        InputError: a file is missing or malformed, or does not fit the frames; the sentence names
            the line.
    """
    text = mot_text(path)
    _check_sequence(text.absolute().parents[1] / "seqinfo.ini", images)
    class_names = _class_names(text.with_name("labels.txt"))
    boxes, ignored = [], 0
    for number, row in enumerate(csv.reader(_lines(text)), start=1):
        if not "".join(row).strip():
            continue
        where = f"{text}, line {number}"
        values = _numbers(where, row)
        if values[6] == 0:
            ignored += 1
            continue
        boxes.append(_box(where, values, class_names, len(images.paths)))
    left_out = [f"{text}: {ignored} boxes of confidence 0"] if ignored else []
    return VideoBoxes(range(len(images.paths)), boxes, left_out)


def _lines(path: Path) -> list[str]:
    try:
        refuse_special(path)
        return path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error


def _class_names(labels: Path) -> Sequence[str]:
    if not labels.is_file():
        return MOT_CLASSES
    return [line.strip() for line in _lines(labels) if line.strip()]


def _numbers(where: str, row: Sequence[str]) -> list[float]:
    try:
        values = [float(field) for field in row if field.strip()]
    except ValueError:
        values = []
    if not 7 <= len(values) <= 10 or not all(map(math.isfinite, values)):
        raise InputError(f"{where}: '{','.join(row):.80}' is not {_EXPECTED}, all numbers.")
    return values


def _box(where: str, values: Sequence[float], class_names: Sequence[str], length: int) -> FrameBox:
    frame, track_id, left, top, width, height, _, *rest = values
    if not frame.is_integer() or not 1 <= frame <= length:
        raise InputError(f"{where}: frame {frame:g} is not one of the {length} frames from 1.")
    if not track_id.is_integer():
        raise InputError(f"{where}: id {track_id:g} is no whole number.")
    if width < 0 or height < 0:
        raise InputError(f"{where}: width {width:g} and height {height:g} must be 0 or more.")
    # Three numbers behind the confidence are a place in the world.
    number = rest[0] if len(rest) in (1, 2) else 1
    if number not in range(1, len(class_names) + 1):
        raise InputError(
            f"{where}: class {number:g} has no name; name the classes from 1 in labels.txt beside "
            "the file, one a line."
        )
    x1, y1 = left - 1, top - 1
    return FrameBox(
        frame=int(frame) - 1,
        class_name=class_names[int(number) - 1],
        corners=(x1, y1, x1 + width, y1 + height),
        track_id=int(track_id) if track_id >= 0 else None,
    )


def _check_sequence(path: Path, images: VideoImages) -> None:
    if not path.is_file():
        return
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string("\n".join(_lines(path)))
        length, width, height = (
            parser.getint("Sequence", key) for key in ("seqLength", "imWidth", "imHeight")
        )
    except (configparser.Error, ValueError) as error:
        raise InputError(
            f"{path}: needs whole numbers seqLength, imWidth and imHeight below [Sequence] "
            f"({' '.join(str(error).split())})."
        ) from error
    images.check_length(length, f"{path}, seqLength")
    images.check_size(0, (height, width), f"{path}, imWidth and imHeight")
