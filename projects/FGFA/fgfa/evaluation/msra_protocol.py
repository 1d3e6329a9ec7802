"""AP50 overall, for slow, medium and fast objects, and per class, by the rules of the original."""

import os
from collections.abc import Sequence

import numpy as np

from fgfa.evaluation.average_precision import ALL_MOTION, average_precision
from fgfa.evaluation.box_motion import load_box_motion
from fgfa.evaluation.motion_iou import MOTION_RANGES
from fgfa.evaluation.motion_table import MotionTable
from fgfa.evaluation.records import Detections, GroundTruth


class MsraProtocol:
    """Scores detections on the frames of a data set; see `average_precision` for the rules.

    Args:
        dicts: a registered data set.
        class_names: C names in order of `category_id`.
        motion_iou: path of a motion IoU file, or "" to compute it from track ids. Without track ids
            there are no motion groups.

    Raises:
        InputError: the motion IoU file does not fit the data set, or two frames share an id.
    """

    def __init__(
        self,
        dicts: Sequence[dict],
        class_names: Sequence[str],
        motion_iou: str | os.PathLike[str] = "",
    ) -> None:
        self._class_names = class_names
        self._ground_truth = GroundTruth.from_dicts(dicts)
        self._motion = load_box_motion(dicts, motion_iou)

    def score(self, detections: Detections) -> list[MotionTable]:
        """One table, AP50.

        Args:
            detections: in any order; those of other frames are left out.
        """
        motion = self._motion
        ranges = [ALL_MOTION, *MOTION_RANGES.values()] if motion else [ALL_MOTION]
        ap = average_precision(
            self._ground_truth,
            detections,
            len(self._class_names),
            motion_iou=motion and motion.values,
            population=motion and motion.population,
            motion_ranges=ranges,
        )
        table = np.full((1 + len(MOTION_RANGES), len(self._class_names)), np.nan)
        table[: len(ranges)] = 100 * ap[:, 0]
        return [MotionTable("AP50", table, self._class_names)]
