"""Checks of detections against the frames they are scored on: nothing changes AP silently."""

import logging
import os
from collections.abc import Sequence

import numpy as np

from fgfa.errors import InputError
from fgfa.evaluation.records import Detections

logger = logging.getLogger(__name__)


def check_on_frames(detections: Detections, image_ids: np.ndarray) -> None:
    """Says what of some detections will not count as a reader of the AP may think it does.

    Warns of detections of other frames, which are left out, of boxes that end before they begin,
    which find no object, and where there are no detections at all; says at level info how many
    frames have none.

    Args:
        detections: N detections.
        image_ids: (F,) those of the data set.

    Raises:
        InputError: not one of the detections is of these frames.
    """
    known = np.isin(detections.image_ids, image_ids)
    if len(detections) and not known.any():
        raise InputError(
            f"none of the {len(detections)} detections is of a frame of the data set: their frame "
            f"ids are {detections.image_ids.min()}..{detections.image_ids.max()}, those of the "
            f"data set {image_ids.min()}..{image_ids.max()}; give the frame list that they were "
            "made with"
        )
    unknown = detections.image_ids[~known]
    if len(unknown):
        logger.warning(
            "%d of %d detections are left out: their frames (%d, such as id %d) are not in the "
            "data set.",
            len(unknown),
            len(detections),
            len(np.unique(unknown)),
            unknown[0],
        )
    sides = detections.boxes[:, 2:] - detections.boxes[:, :2]
    inverted = (sides < 0).any(axis=1)
    if inverted.any():
        row = inverted.argmax()
        logger.warning(
            "%d of %d detections have x2 < x1 or y2 < y1 (such as %s of frame %d): they count as "
            "false positives.",
            inverted.sum(),
            len(detections),
            detections.boxes[row].tolist(),
            detections.image_ids[row],
        )
    without = len(np.setdiff1d(image_ids, detections.image_ids))
    level = logging.WARNING if without == len(image_ids) else logging.INFO
    logger.log(level, "%d of %d frames have no detections.", without, len(image_ids))


def check_frames_are_apart(
    parts: Sequence[Detections], paths: Sequence[str | os.PathLike[str]]
) -> None:
    """Refuses detections of one frame in two files, most often the outputs of two runs.

    Args:
        parts: the detections of each file.
        paths: the files.

    Raises:
        InputError: two files have detections of the same frame.
    """
    frames = [np.unique(part.image_ids) for part in parts]
    ids, counts = np.unique(np.concatenate([*frames, np.zeros(0, np.int64)]), return_counts=True)
    shared = ids[counts > 1]
    if len(shared):
        first, second, *_ = (
            path for path, own in zip(paths, frames, strict=True) if shared[0] in own
        )
        raise InputError(
            f"{first} and {second} both have detections of frame {shared[0]} ({len(shared)} frames "
            "are in more than one file): give the files of one run, or join them into one file "
            "where that is what you want"
        )
