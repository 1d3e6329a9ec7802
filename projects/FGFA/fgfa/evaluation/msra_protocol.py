"""AP50 overall, for slow, medium and fast objects, and per class, by the rules of the original."""

from fgfa.evaluation.average_precision import average_precision
from fgfa.evaluation.motion_protocol import MotionProtocol
from fgfa.evaluation.motion_table import MotionTable
from fgfa.evaluation.records import Detections


class MsraProtocol(MotionProtocol):
    """Gives one table, AP50; see `average_precision` for the rules."""

    def score(self, detections: Detections) -> list[MotionTable]:
        motion = self._motion
        ap = average_precision(
            self._ground_truth,
            detections,
            len(self._class_names),
            motion_iou=motion and motion.values,
            population=motion and motion.population,
            motion_ranges=self._ranges,
        )
        return [self._table("AP50", ap[:, 0])]
