"""AP50 overall, for slow, medium and fast objects, and per class, by the rules of the original."""

from fgfa.evaluation.average_precision import ap_from_matches
from fgfa.evaluation.matching import Matches, match
from fgfa.evaluation.motion_protocol import MotionProtocol
from fgfa.evaluation.motion_table import MotionTable
from fgfa.evaluation.records import Detections


class MsraProtocol(MotionProtocol):
    """Gives one table, AP50; see `average_precision` for the rules."""

    def score(self, detections: Detections) -> list[MotionTable]:
        return [self.table(self.match(detections))]

    def match(self, detections: Detections) -> Matches:
        """Matches detections with boxes, for the motion ranges of `motions`."""
        motion = self._motion
        return match(
            self._ground_truth,
            detections,
            motion_iou=motion and motion.values,
            population=motion and motion.population,
            motion_ranges=self._ranges,
        )

    def table(self, matches: Matches) -> MotionTable:
        """AP50 of detections that have been matched."""
        return self._table("AP50", ap_from_matches(matches, len(self._class_names))[:, 0])
