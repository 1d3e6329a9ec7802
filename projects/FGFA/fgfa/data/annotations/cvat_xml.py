"""Annotations in the XML of "CVAT for video 1.1": tracks of boxes.

The format: docs.cvat.ai, "XML annotation format", interpolation mode.
"""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from fgfa.data.annotations.video_boxes import FrameBox, VideoBoxes, VideoImages
from fgfa.errors import InputError
from fgfa.files import refuse_special

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_FILE = "annotations.xml"  # what CVAT calls the file in each archive


def cvat_name(path: Path) -> str:
    """Name of the video: that of the file, or of its folder where it is `annotations.xml`."""
    return path.absolute().parent.name if path.name == _FILE else path.stem


def read_cvat(path: Path, images: VideoImages) -> VideoBoxes:
    """Reads the XML file of a task or a job.

    Frames between two boxes of a track that are not in the file lie on the straight line between
    them, as in CVAT. Where CVAT left out frames of the video (start, stop, step), the images may be
    those of the task or of the whole video. Other shapes than boxes are left out.

    Args:
        path: the XML file.
        images: frames of the video.

    Raises:
        InputError: the file is missing or malformed, or does not fit the images; the sentence names
            the track and the box.
    """
    root = _parse(path)
    numbers = _frame_numbers(path, root, len(images.paths))
    chosen = _chosen_images(path, numbers, images)
    _check_size(path, root, images)
    boxes, others = [], Counter()
    for order, track in enumerate(root.iterfind("track"), start=1):
        others.update(shape.tag for shape in track if shape.tag != "box")
        boxes += _track(f"{path}, track {order}", track, numbers)
    left_out = [
        f"{path}: {count} shapes <{tag}>, which are no boxes" for tag, count in others.items()
    ]
    return VideoBoxes(chosen, boxes, left_out)


def _parse(path: Path) -> Element:
    try:
        refuse_special(path)
        root = fromstring(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise InputError(f"{path}: not a complete XML file ({error}); export it again.") from error
    if root.tag != "annotations" or root.find("image") is not None:
        raise InputError(
            f"{path}: not in the format 'CVAT for video 1.1'; choose it when exporting from CVAT."
        )
    if root.find("meta/project") is not None:
        raise InputError(f"{path}: a project of many videos; export each task by itself.")
    return root


def _meta(root: Element, tag: str) -> str:
    """The text of an element of the task or job, "" without it."""
    texts = (root.findtext(f"meta/{part}/{tag}") for part in ("task", "job"))
    return next((text.strip() for text in texts if text and text.strip()), "")


def _frame_numbers(path: Path, root: Element, images: int) -> range:
    """The numbers in the video that the frames of the task have."""
    step = re.fullmatch(r"step\s*=\s*([1-9][0-9]*)", _meta(root, "frame_filter") or "step=1")
    size, start, stop = (_meta(root, tag) for tag in ("size", "start_frame", "stop_frame"))
    if step is None or not all(text.isdecimal() for text in (size, start, stop) if text):
        raise InputError(
            f"{path}, <meta>: <size> '{size}', <start_frame> '{start}' and <stop_frame> '{stop}' "
            f"must be whole numbers, <frame_filter> '{_meta(root, 'frame_filter')}' such as "
            "'step=5'."
        )
    stride, first = int(step[1]), int(start or 0)
    if stop:
        return range(first, int(stop) + 1, stride)
    length = int(size) if size else images
    return range(first, first + length * stride, stride)


def _chosen_images(path: Path, numbers: range, images: VideoImages) -> range:
    """Which images the frames of the task are: all, or those with their numbers."""
    if numbers and len(images.paths) != len(numbers) and len(images.paths) > numbers[-1]:
        return numbers
    images.check_length(len(numbers), f"{path}, <meta>")
    return range(len(numbers))


def _check_size(path: Path, root: Element, images: VideoImages) -> None:
    height, width = (_meta(root, f"original_size/{side}") for side in ("height", "width"))
    if height.isdecimal() and width.isdecimal():
        images.check_size(0, (int(height), int(width)), f"{path}, <original_size>")


def _track(where: str, track: Element, numbers: range) -> Iterator[FrameBox]:
    """The boxes of a track that are seen."""
    label = track.get("label")
    if not label:
        raise InputError(f"{where}: it has no label; export it again.")
    track_id = int(_number(where, track, "id"))
    keyed = []
    for order, element in enumerate(track.iterfind("box"), start=1):
        box = _box(f"{where}, box {order}", element, numbers)
        box = dataclasses.replace(box, class_name=label, track_id=track_id)
        keyed.append((box, element.get("outside") == "1"))
    keyed.sort(key=lambda item: item[0].frame)
    for (box, outside), (following, _) in pairwise(keyed):
        if not outside:
            yield from _until(box, following)
    if keyed and not keyed[-1][1]:
        yield keyed[-1][0]


def _until(box: FrameBox, following: FrameBox) -> Iterator[FrameBox]:
    """A box, and those on the way to the following one of its track."""
    span = following.frame - box.frame
    for distance in range(max(span, 1)):  # two in one frame stay two
        share = distance / span if span else 0
        corners = tuple(
            a + share * (b - a) for a, b in zip(box.corners, following.corners, strict=True)
        )
        yield dataclasses.replace(box, frame=box.frame + distance, corners=corners)


def _box(where: str, element: Element, numbers: range) -> FrameBox:
    number = _number(where, element, "frame")
    if number not in numbers:
        raise InputError(
            f"{where}: frame {number:g} is none of the task's {len(numbers)} frames "
            f"({numbers.start} to {numbers.stop - 1})."
        )
    corners = tuple(_number(where, element, corner) for corner in _CORNERS)
    if corners[2] < corners[0] or corners[3] < corners[1]:
        raise InputError(f"{where}: xbr or ybr lies before xtl or ytl; correct the box.")
    return FrameBox(
        frame=numbers.index(int(number)),
        class_name="",
        corners=corners,
        occluded=element.get("occluded") == "1",
    )


def _number(where: str, element: Element, key: str) -> float:
    text = element.get(key, "")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {key} is '{text}', not a number.")
    return number
