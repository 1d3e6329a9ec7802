"""AP by COCO's rules (pycocotools), overall and for slow, medium and fast objects."""

import contextlib
import io
import os
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fgfa.evaluation.average_precision import ALL_MOTION
from fgfa.evaluation.box_motion import load_box_motion
from fgfa.evaluation.motion_iou import MOTION_RANGES
from fgfa.evaluation.motion_table import MotionTable
from fgfa.evaluation.records import Detections, GroundTruth


class CocoProtocol:
    """Scores detections on the frames of a data set as COCO does.

    AP is the mean over IoU thresholds 0.5 to 0.95, precision is read at 101 recall points, the best
    100 detections of a class in a frame count, and box widths are x2 - x1. In a motion group, boxes
    out of its range are ignored, and so are the detections that match them; an unmatched detection
    is a false positive in every group.

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
        truth = GroundTruth.from_dicts(dicts)
        self._motion = load_box_motion(dicts, motion_iou)
        # COCOeval leaves out boxes whose area is out of range: motion IoU stands in for area.
        areas = np.ones(len(truth.boxes)) if self._motion is None else self._motion.values
        self._coco = self._index(
            _annotations(truth.image_ids[truth.frames], truth.classes, truth.boxes, areas),
            truth.image_ids.tolist(),
        )

    def score(self, detections: Detections) -> list[MotionTable]:
        """Two tables, AP and AP50.

        Args:
            detections: in any order; those of other frames are left out.
        """
        # An area of NaN is out of no range.
        found = _annotations(
            detections.image_ids,
            detections.classes,
            detections.boxes,
            np.full(len(detections), np.nan),
        )
        for annotation, score in zip(found, detections.scores.tolist(), strict=True):
            annotation["score"] = score
        ranges = [ALL_MOTION, *MOTION_RANGES.values()] if self._motion else [ALL_MOTION]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self._coco, self._index(found, self._coco.getImgIds()), "bbox")
            evaluation.params.areaRng = ranges
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][..., -1]  # (thresholds, recalls, C, ranges)
        precision = np.where(precision < 0, np.nan, precision)
        return [
            self._table("AP", precision.mean(axis=(0, 1))),
            self._table("AP50", precision[0].mean(axis=0)),
        ]

    def _index(self, annotations: list[dict], image_ids: list[int]) -> COCO:
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image_id} for image_id in image_ids],
            "annotations": annotations,
            "categories": [{"id": c, "name": n} for c, n in enumerate(self._class_names)],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
        return coco

    def _table(self, metric: str, ap: np.ndarray) -> MotionTable:
        table = np.full((1 + len(MOTION_RANGES), len(self._class_names)), np.nan)
        table[: ap.shape[1]] = 100 * ap.T
        return MotionTable(metric, table, self._class_names)


def _annotations(
    image_ids: np.ndarray, classes: np.ndarray, boxes: np.ndarray, areas: np.ndarray
) -> list[dict]:
    corners_and_sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    columns = (image_ids, classes, corners_and_sides, areas)
    # COCOeval takes id 0 for "no match".
    return [
        {"id": i, "image_id": image, "category_id": cls, "bbox": box, "area": area, "iscrowd": 0}
        for i, (image, cls, box, area) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True), start=1
        )
    ]
