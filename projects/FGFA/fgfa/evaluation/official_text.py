"""Detections as text, in the format of the ImageNet VID server and of the original.

One detection a line, `frame_id class score x1 y1 x2 y2`: frame ids and classes count from 1, boxes
are in pixels of the original image.
"""

import os
import warnings

import numpy as np

from fgfa.errors import InputError
from fgfa.evaluation.gzip_text import open_for_reading, open_for_writing
from fgfa.evaluation.records import Detections
from fgfa.files import atomic_write
from fgfa.limits import LARGEST_NUMBER

_LINE = "%d %d %.4f %.2f %.2f %.2f %.2f\n"
_EXACT_LINE = "%d %d %r %r %r %r %r\n"
_NUM_FIELDS = 7
_CHUNK = 1 << 14  # lines written at once


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


def write_text(path: str | os.PathLike[str], detections: Detections) -> None:
    """Writes detections as text, in their order; compressed where the path ends in .gz.

    Args:
        path: where; parent folders are made.
        detections: classes from 0, written from 1.
    """
    _write_lines(path, detections, _LINE)


def write_exact_text(path: str | os.PathLike[str], detections: Detections) -> None:
    """Writes detections as `write_text`, with all digits: `read_text` gives the same numbers."""
    _write_lines(path, detections, _EXACT_LINE)


def text_lines(detections: Detections) -> str:
    """The lines that `write_text` writes."""
    return _lines(detections, _LINE)


def _write_lines(path: str | os.PathLike[str], detections: Detections, line: str) -> None:
    with atomic_write(path) as temporary, open_for_writing(temporary) as file:
        for start in range(0, len(detections), _CHUNK):
            file.write(_lines(detections[start : start + _CHUNK], line))


def _lines(part: Detections, line: str) -> str:
    table = np.column_stack([part.image_ids, part.classes + 1, part.scores, part.boxes])
    return line * len(part) % tuple(table.ravel().tolist())


def read_text(path: str | os.PathLike[str], num_classes: int) -> Detections:
    """Reads detections from text, which gzip may have compressed.

    Args:
        path: a file as `write_text` or the original writes it; blank lines are skipped.
        num_classes: C; the file's classes are 1..C.

    Returns:
        Detections in the order of the lines, classes from 0.

    Raises:
        OSError: the file cannot be read.
        InputError: a line is not a detection; the message has its number and what is wrong.
    """
    with open_for_reading(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data")
        try:
            table = np.loadtxt(file, comments=None, ndmin=2)
        except ValueError:
            table = None
    if table is None or _problem(table, num_classes):
        raise _first_bad_line(path, num_classes)
    if table.size == 0:
        return Detections.empty()
    ids = table[:, :2].astype(np.int64)
    return Detections(ids[:, 0], ids[:, 1] - 1, table[:, 2], table[:, 3:])


def _problem(table: np.ndarray, num_classes: int) -> str:
    """What is wrong with some line of a table, or ""."""
    if table.size == 0:
        return ""
    if table.shape[1] != _NUM_FIELDS:
        return f"{table.shape[1]} fields"
    if not np.isfinite(table).all():
        return "a number that is not finite"
    ids, classes = table[:, 0], table[:, 1]
    if (ids != np.floor(ids)).any() or (classes != np.floor(classes)).any():
        return "a frame id or class that is not a whole number"
    if np.abs(ids).max() >= LARGEST_NUMBER:
        return "a frame id beyond 2^53"
    if classes.min() < 1 or classes.max() > num_classes:
        return "an unknown class"
    return ""


def _first_bad_line(path: str | os.PathLike[str], num_classes: int) -> InputError:
    with open_for_reading(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                problem = _problem(np.array([line.split()], np.float64), num_classes)
            except ValueError:
                problem = "something that is not a number"
            if problem:
                return InputError(
                    f"line {number} of {path} is not a detection: it has {problem}, "
                    f"{line.strip()[:80]!r}; expected `frame_id class score x1 y1 x2 y2` with a "
                    f"class of 1..{num_classes}"
                )
    return InputError(f"{path} is not a text file of detections")
