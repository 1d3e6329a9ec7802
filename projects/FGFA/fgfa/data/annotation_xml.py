"""Annotation files of ImageNet VID and DET: the boxes of one frame in PASCAL VOC's XML."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from detectron2.structures import BoxMode

from fgfa.data.load_problems import STRICT
from fgfa.errors import InputError
from fgfa.files import refuse_special
from fgfa.limits import LARGEST_NUMBER

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class FrameAnnotation:
    """Content of one annotation file.

    Attributes:
        height, width: size of the frame, pixels; 0 where the file is wrong and that is tolerated.
        objects: Detectron2 annotations in the order of the file: `bbox` (x1, y1, x2, y2 in pixels,
            both corners inside the box) with `bbox_mode`, `category_id`, and `track_id` and
            `occluded` where the file has them.
        other_names: names of the objects that were left out because they are of no known class.
    """

    height: int
    width: int
    objects: list[dict]
    other_names: list[str]


def read_annotation(
    path: str, categories: Mapping[str, int], tolerance: AbstractContextManager = STRICT
) -> FrameAnnotation:
    """Reads an annotation file.

    Args:
        path: the XML file.
        categories: category id of each object name. Objects of other names are left out.
        tolerance: `LoadProblems`, to leave out what is wrong.

    Raises:
        InputError: the file is missing or malformed; the sentence names the file and the object.
    """
    annotation = FrameAnnotation(0, 0, [], [])
    with tolerance:
        annotation = parse_annotation(path, read_content(path), categories, tolerance)
    return annotation


def read_content(path: str) -> bytes:
    """Reads the bytes of an annotation file.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        refuse_special(path)
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise InputError(
            f"{path}: the annotation file cannot be read ({error.strerror}); "
            "add it or take the frame out of the list."
        ) from error


def parse_annotation(
    path: str,
    content: bytes,
    categories: Mapping[str, int],
    tolerance: AbstractContextManager = STRICT,
) -> FrameAnnotation:
    """What `read_annotation` gives for the bytes of an annotation file.

    Args:
        path: the file, for the messages of errors.
        content: its bytes.
        categories, tolerance: see `read_annotation`.

    Raises:
        InputError: the content is malformed.
    """
    root = _parse(path, content)
    height, width = (_number(path, root, f"size/{side}") for side in ("height", "width"))
    if height < 1 or width < 1:
        raise InputError(f"{path}: a frame of {width:g}x{height:g} pixels; correct <size>.")
    objects, other_names = [], []
    for index, element in enumerate(root.iterfind("object"), start=1):
        where = f"{path}, object {index}"
        with tolerance:
            name = _text(where, element, "name")
            if name in categories:
                objects.append({"category_id": categories[name], **_box(where, element)})
            else:
                other_names.append(name)
    return FrameAnnotation(int(height), int(width), objects, other_names)


def _parse(path: str, content: bytes) -> Element:
    try:
        return fromstring(content)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise InputError(f"{path}: not a complete XML file ({error}); replace it.") from error


def _box(where: str, element: Element) -> dict:
    if element.find("bndbox") is None:
        raise InputError(f"{where}: no <bndbox>; add the box or remove the object.")
    corners = [_number(where, element, f"bndbox/{corner}") for corner in _CORNERS]
    if corners[2] < corners[0] or corners[3] < corners[1]:
        raise InputError(
            f"{where}: box {', '.join(f'{c:g}' for c in corners)} (xmin, ymin, xmax, ymax) "
            "ends before it begins; correct it."
        )
    box = {"bbox": corners, "bbox_mode": BoxMode.XYXY_ABS}
    for key, tag in (("track_id", "trackid"), ("occluded", "occluded")):
        if element.find(tag) is not None:
            box[key] = int(_number(where, element, tag))
    return box


def _text(where: str, element: Element, tag: str) -> str:
    text = element.findtext(tag)
    if not text or not text.strip():
        raise InputError(f"{where}: <{tag.replace('/', '><')}> is missing or empty; add it.")
    return text.strip()


def _number(where: str, element: Element, tag: str) -> float:
    text = _text(where, element, tag)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) < LARGEST_NUMBER:
        name = tag.replace("/", "><")
        raise InputError(f"{where}: <{name}> is '{text:.40}', not a number that can be meant.")
    return number
