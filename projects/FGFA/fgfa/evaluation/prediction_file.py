"""Detections as text, in the format of the ImageNet VID server and of the original.

One detection a line, `frame_id class score x1 y1 x2 y2`: frame ids and classes count from 1, boxes
are in pixels of the original image.
"""

import os
import warnings

import numpy as np

from fgfa.errors import InputError
from fgfa.evaluation.records import Detections
from fgfa.files import atomic_write

_FORMAT = "%d %d %.4f %.2f %.2f %.2f %.2f"
_NUM_FIELDS = 7


def rounded(detections: Detections) -> Detections:
    """Detections as they are after writing and reading: scores to 0.0001, boxes to 0.01 pixels.

    Scoring these gives the same AP as scoring the file.
    """
    return Detections(
        detections.image_ids,
        detections.classes,
        np.round(detections.scores, 4),
        np.round(detections.boxes, 2),
    )


def write_predictions(path: str | os.PathLike[str], detections: Detections) -> None:
    """Writes detections as text, in their order.

    Args:
        path: where; parent folders are made.
        detections: classes from 0, written from 1.
    """
    table = np.column_stack(
        [detections.image_ids, detections.classes + 1, detections.scores, detections.boxes]
    )
    with atomic_write(path) as temporary:
        np.savetxt(temporary, table, fmt=_FORMAT)


def read_predictions(path: str | os.PathLike[str], num_classes: int) -> Detections:
    """Reads detections from text.

    Args:
        path: a file as `write_predictions` or the original writes it; blank lines are skipped.
        num_classes: C; the file's classes are 1..C.

    Returns:
        Detections in the order of the lines, classes from 0.

    Raises:
        InputError: the file cannot be read, or a line is not a detection; the message has its
            number.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            table = np.loadtxt(path, comments=None, ndmin=2)
    except OSError as error:
        raise InputError(
            f"cannot open the predictions {path}: {error.strerror or error}"
        ) from error
    except ValueError:
        raise _first_bad_line(path, num_classes) from None
    if table.size == 0:
        return Detections.empty()
    if not _are_detections(table, num_classes):
        raise _first_bad_line(path, num_classes)
    ids = table[:, :2].astype(np.int64)
    return Detections(ids[:, 0], ids[:, 1] - 1, table[:, 2], table[:, 3:])


def _are_detections(table: np.ndarray, num_classes: int) -> bool:
    if table.shape[1] != _NUM_FIELDS or not np.isfinite(table).all():
        return False
    ids, classes = table[:, 0], table[:, 1]
    whole = (ids == np.floor(ids)) & (classes == np.floor(classes))
    return bool((whole & (classes >= 1) & (classes <= num_classes)).all())


def _first_bad_line(path: str | os.PathLike[str], num_classes: int) -> InputError:
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = np.array([line.split()], np.float64)
            except ValueError:
                row = np.full((1, 1), np.nan)
            if row.size and not _are_detections(row, num_classes):
                return InputError(
                    f"line {number} of {path} is not a detection: {line.strip()[:80]!r}; expected "
                    f"`frame_id class score x1 y1 x2 y2` with a class of 1..{num_classes}"
                )
    return InputError(f"{path} is not a text file of detections")
