"""Motion IoU of the boxes of a data set, wherever it can be had from."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fgfa.evaluation.motion_iou import has_track_ids, motion_iou_of_dataset, motion_population
from fgfa.evaluation.motion_iou_file import read_motion_iou, rows_of_frames

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BoxMotion:
    """Motion IoU of a data set.

    Attributes:
        values: (G,) of each box, frame by frame.
        population: (P,) `motion_population` of the data set, or of the whole file.
    """

    values: np.ndarray
    population: np.ndarray


def load_box_motion(
    dicts: Sequence[dict], motion_iou: str | os.PathLike[str] = ""
) -> BoxMotion | None:
    """Motion IoU from a file or from track ids; None, with a warning, where there is neither.

    Args:
        dicts: a registered data set.
        motion_iou: path of a motion IoU file, or "" to compute it from track ids.

    Raises:
        InputError: the file does not fit the data set.
    """
    if motion_iou:
        whole_file = read_motion_iou(motion_iou)
        frames = rows_of_frames(dicts, whole_file, motion_iou)
        return BoxMotion(np.concatenate(frames), motion_population(whole_file))
    if has_track_ids(dicts):
        frames = motion_iou_of_dataset(dicts)
        return BoxMotion(np.concatenate(frames), motion_population(frames))
    logger.warning(
        "Boxes without track ids and no motion IoU file: AP of slow, medium and fast objects is "
        "left out (NaN)."
    )
    return None
