"""What the evaluation protocols share: ground truth, motion IoU, tables by motion."""

import os
from collections.abc import Sequence

import numpy as np

from fgfa.evaluation.box_motion import load_box_motion
from fgfa.evaluation.matching import ALL_MOTION
from fgfa.evaluation.motion_iou import MOTION_RANGES
from fgfa.evaluation.motion_table import MotionTable
from fgfa.evaluation.records import Detections, GroundTruth


class MotionProtocol:
    """Scores detections on the frames of a data set; a subclass says by which rules.

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
        """One table for each metric of the protocol.

        Args:
            detections: in any order; those of other frames are left out.
        """
        raise NotImplementedError

    @property
    def motions(self) -> list[str]:
        """The groups that are scored: all, then slow, medium, fast where motion is known."""
        return ["all", *MOTION_RANGES] if self._motion else ["all"]

    @property
    def _ranges(self) -> list[tuple[float, float]]:
        """Motion ranges to score: all motion, then the groups where motion is known."""
        return [ALL_MOTION, *MOTION_RANGES.values()] if self._motion else [ALL_MOTION]

    def _table(self, metric: str, ap: np.ndarray) -> MotionTable:
        """A table of AP, 0 to 1, of shape (ranges, C), with NaN for groups that were not scored."""
        table = np.full((1 + len(MOTION_RANGES), len(self._class_names)), np.nan)
        table[: len(ap)] = 100 * ap
        return MotionTable(metric, table, self._class_names)
