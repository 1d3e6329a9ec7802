"""Files of detections: official text, COCO results and Detectron2's predictions.

The format of a file that is read shows in its first bytes, that of one to be written in its suffix.
"""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fgfa.errors import InputError
from fgfa.evaluation.coco_results import read_coco_results, write_coco_results
from fgfa.evaluation.detection_checks import check_frames_are_apart, check_on_frames
from fgfa.evaluation.detectron2_predictions import (
    read_detectron2_predictions,
    write_detectron2_predictions,
)
from fgfa.evaluation.gzip_text import open_for_reading
from fgfa.evaluation.official_text import read_text, write_text
from fgfa.evaluation.records import Detections
from fgfa.files import refuse_special

# A zip archive, and the bare pickle of old versions.
_TORCH_MAGIC = (b"PK\x03\x04", b"\x80")
_HEAD = 4096  # characters among which JSON shows


def read_prediction_files(
    paths: Sequence[str | os.PathLike[str]],
    num_classes: int,
    image_ids: np.ndarray,
    category_ids: Sequence[int] | None = None,
) -> Detections:
    """Reads the detections of a data set that stand in one or more files.

    What of them will not count is logged, see `check_on_frames`.

    Args:
        paths: the files, each with frames of its own.
        num_classes: see `read_predictions`.
        image_ids: (F,) the frames of the data set.
        category_ids: see `read_predictions`.

    Raises:
        InputError: see `read_predictions`; a frame is in two files; or no frame is one of the
            data set.
    """
    parts = [read_predictions(path, num_classes, category_ids) for path in paths]
    check_frames_are_apart(parts, paths)
    detections = Detections.concatenate(parts)
    check_on_frames(detections, image_ids)
    return detections


def read_predictions(
    path: str | os.PathLike[str], num_classes: int, category_ids: Sequence[int] | None = None
) -> Detections:
    """Reads detections of any of the formats, each of which may be compressed by gzip.

    Args:
        path: a file of `official_text`, `coco_results` or `detectron2_predictions`.
        num_classes: C.
        category_ids: the `category_id` of each class in COCO results; by default 1..C.

    Returns:
        Detections in the order of the file, classes from 0.

    Raises:
        InputError: the file cannot be read, or one of its detections cannot be used; the message
            says which.
    """
    try:
        refuse_special(path)
        if _is_torch_file(path):
            return read_detectron2_predictions(path, num_classes)
        if _is_json(path):
            return read_coco_results(path, category_ids or range(1, num_classes + 1))
        return read_text(path, num_classes)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot open the predictions {path}: {reason}") from error


def write_predictions(
    path: str | os.PathLike[str],
    detections: Detections,
    category_ids: Sequence[int] | None = None,
) -> None:
    """Writes detections in the format of the suffix, in their order.

    Args:
        path: where; parent folders are made. `.json` or `.json.gz`: COCO results; `.pth`:
            Detectron2's predictions; any other: official text, which rounds (see
            `rounded`), compressed where it ends in `.gz`.
        detections: classes from 0.
        category_ids: the `category_id` of each class in COCO results; by default 1..C.
    """
    match [suffix.lower() for suffix in Path(path).suffixes]:
        case [*_, ".json"] | [*_, ".json", ".gz"]:
            known = range(1, detections.classes.max(initial=0) + 2)
            write_coco_results(path, detections, category_ids or known)
        case [*_, ".pth"]:
            write_detectron2_predictions(path, detections)
        case _:
            write_text(path, detections)


def _is_torch_file(path: str | os.PathLike[str]) -> bool:
    with open(path, "rb") as file:
        return file.read(4).startswith(_TORCH_MAGIC)


def _is_json(path: str | os.PathLike[str]) -> bool:
    with open_for_reading(path) as file:
        return file.read(_HEAD).lstrip().startswith(("[", "{"))
