"""Detections as COCO results: a JSON list of image_id, category_id, bbox and score."""

import json
import os
from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from fgfa.errors import InputError
from fgfa.evaluation.gzip_text import open_for_reading, open_for_writing
from fgfa.evaluation.records import Detections
from fgfa.files import atomic_write

_CHUNK = 1 << 14  # results written at once


class ResultCollector:
    """Gathers results of COCO's form one by one, in the memory that their numbers take.

    Args:
        source: the file, for the messages of errors.
        category_ids: the `category_id` of each class.
    """

    def __init__(self, source: str | os.PathLike[str], category_ids: Sequence[int]) -> None:
        self._source = source
        self._classes = {category_id: cls for cls, category_id in enumerate(category_ids)}
        self._ids = array("q")  # image id and class of each
        self._numbers = array("d")  # score, x, y, width and height of each

    def __len__(self) -> int:
        return len(self._ids) // 2

    def add(self, result: Mapping) -> None:
        """Adds a result; its `bbox` is x, y, width, height in pixels.

        Raises:
            InputError: a key is missing or of a wrong type, or the category is unknown.
        """
        try:
            category_id = result["category_id"]
            x, y, width, height = result["bbox"]
            numbers = array("d", (result["score"], x, y, width, height))
            ids = array("q", (result["image_id"], self._classes.get(category_id, -1)))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._error(
                len(self),
                f"is {str(result)[:120]}",
                "expected a whole number `image_id`, a `category_id`, a `bbox` of four numbers and "
                "a `score`",
            ) from None
        if ids[1] < 0:
            known = list(self._classes)
            raise self._error(
                len(self),
                f"has category_id {category_id!r}",
                f"the {len(known)} classes have {known[0]}..{known[-1]}",
            )
        self._ids += ids
        self._numbers += numbers

    def detections(self) -> Detections:
        """All results in their order.

        Raises:
            InputError: a score or a box is not finite.
        """
        if not len(self):
            return Detections.empty()
        ids = np.array(self._ids).reshape(-1, 2)
        numbers = np.array(self._numbers).reshape(-1, 5)
        corner, sides = numbers[:, 1:3], numbers[:, 3:]
        with np.errstate(all="ignore"):
            boxes = np.concatenate([corner, corner + sides], axis=1)
        infinite = ~np.isfinite(boxes).all(axis=1) | ~np.isfinite(numbers).all(axis=1)
        if infinite.any():
            raise self._error(
                infinite.argmax(), "has a number that is not finite", "remove it or correct it"
            )
        return Detections(ids[:, 0], ids[:, 1], numbers[:, 0], boxes)

    def _error(self, index: int, found: str, expected: str) -> InputError:
        return InputError(f"{self._source}: detection {index} (from 0) {found}; {expected}")


def read_coco_results(path: str | os.PathLike[str], category_ids: Sequence[int]) -> Detections:
    """Reads detections from COCO results, which gzip may have compressed.

    Args:
        path: the JSON file; keys beside those of a box detection are skipped.
        category_ids: C whole numbers, the `category_id` of each class.

    Returns:
        Detections in the order of the file; x2 = x + width, as for ground truth in COCO-VID JSON.

    Raises:
        OSError: the file cannot be read.
        InputError: the file or one of its results is malformed; the message has its index.
    """
    results = ResultCollector(path, category_ids)

    def collect(values: dict) -> dict | None:
        # Objects inside a result, such as a mask, come here before it.
        if "image_id" not in values:
            return values
        results.add(values)
        return None

    try:
        with open_for_reading(path) as file:
            rest = json.load(file, object_hook=collect)
    except InputError:
        raise
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path} is not a complete JSON file ({error}); replace it") from error
    if not isinstance(rest, list) or any(item is not None for item in rest):
        raise InputError(
            f"{path} is not a JSON list of COCO results, objects with `image_id`, `category_id`, "
            "`bbox` and `score`"
        )
    return results.detections()


def write_coco_results(
    path: str | os.PathLike[str], detections: Detections, category_ids: Sequence[int]
) -> None:
    """Writes detections as COCO results, in their order; compressed where the path ends in .gz.

    Args:
        path: where; parent folders are made.
        detections: classes 0..C-1; scores and boxes are written in full precision.
        category_ids: C whole numbers, the `category_id` of each class.
    """
    with atomic_write(path) as temporary, open_for_writing(temporary) as file:
        file.write("[")
        for start in range(0, len(detections), _CHUNK):
            results = as_results(detections[start : start + _CHUNK], category_ids)
            file.write(",\n" * bool(start) + json.dumps(results)[1:-1])
        file.write("]\n")


def as_results(detections: Detections, category_ids: Sequence[int]) -> list[dict]:
    """Detections as dicts of COCO's form, with `category_ids` (C,) for the classes."""
    boxes = detections.boxes.copy()
    boxes[:, 2:] -= boxes[:, :2]
    columns = (detections.image_ids, detections.classes, boxes, detections.scores)
    return [
        {"image_id": image_id, "category_id": category_ids[cls], "bbox": box, "score": score}
        for image_id, cls, box, score in zip(*(c.tolist() for c in columns), strict=True)
    ]
