"""AP by COCO's rules (pycocotools), overall and for slow, medium and fast objects."""

import contextlib
import functools
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fgfa.evaluation.motion_protocol import MotionProtocol
from fgfa.evaluation.motion_table import MotionTable
from fgfa.evaluation.records import Detections


class CocoProtocol(MotionProtocol):
    """Gives two tables, AP and AP50, as COCO scores.

    AP is the mean over IoU thresholds 0.5 to 0.95, precision is read at 101 recall points, the best
    100 detections of a class in a frame count, and box widths are x2 - x1. In a motion group, boxes
    out of its range are ignored, and so are the detections that match them; an unmatched detection
    is a false positive in every group.
    """

    @functools.cached_property
    def _expected(self) -> COCO:
        """The ground truth, indexed once for all detections that are scored."""
        truth = self._ground_truth
        # COCOeval leaves out boxes whose area is out of range: motion IoU stands in for area.
        areas = np.ones(len(truth.boxes)) if self._motion is None else self._motion.values
        return self._index(
            _annotations(truth.image_ids[truth.frames], truth.classes, truth.boxes, areas),
            truth.image_ids.tolist(),
        )

    def score(self, detections: Detections) -> list[MotionTable]:
        # An area of NaN is out of no range.
        found = _annotations(
            detections.image_ids,
            detections.classes,
            detections.boxes,
            np.full(len(detections), np.nan),
        )
        for annotation, score in zip(found, detections.scores.tolist(), strict=True):
            annotation["score"] = score
        with contextlib.redirect_stdout(io.StringIO()):
            index = self._index(found, self._expected.getImgIds())
            evaluation = COCOeval(self._expected, index, "bbox")
            evaluation.params.areaRng = self._ranges
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][..., -1]  # (thresholds, recalls, C, ranges)
        precision = np.where(precision < 0, np.nan, precision)
        return [
            self._table("AP", precision.mean(axis=(0, 1)).T),
            self._table("AP50", precision[0].mean(axis=0).T),
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
