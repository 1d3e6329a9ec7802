"""Detectron2's evaluator for video data sets: AP50 by motion, text predictions, Seq-NMS."""

import logging
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm

from fgfa.evaluation.instances import detections_of
from fgfa.evaluation.motion_table import results_of
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.official_text import rounded, write_exact_text
from fgfa.evaluation.prediction_file import write_predictions
from fgfa.evaluation.records import Detections
from fgfa.evaluation.registered_dataset import registered_dataset
from fgfa.evaluation.results_file import write_results
from fgfa.evaluation.seq_nms import seq_nms_dataset

logger = logging.getLogger(__name__)


class ImageNetVIDEvaluator(DatasetEvaluator):
    """AP50 overall, for slow, medium and fast objects, and per class (`msra_protocol`).

    Args:
        dataset_name: a registered data set with `thing_classes`.
        output_dir: folder for detections.txt and results.json; None writes neither.
        motion_iou: path of a motion IoU file, or "" to compute it from track ids.
        seq_nms: rescore over whole videos with Seq-NMS; the outputs must then be the boxes *before*
            NMS, one instance a box and class.
        save_raw_boxes: with Seq-NMS, also write the outputs as they are to raw_detections.txt, from
            which `scripts/evaluate.py --seq-nms` gets the same results.
        nms_iou: IoU above which the NMS behind Seq-NMS drops a box.
        detections_per_image: how many detections of a frame to leave behind Seq-NMS; below 0 all.
        distributed: gather the outputs of all ranks.

    Raises:
        InputError: the data set is not registered, or the motion IoU file does not fit it.
    """

    def __init__(
        self,
        dataset_name: str,
        output_dir: str | os.PathLike[str] | None = None,
        motion_iou: str | os.PathLike[str] = "",
        seq_nms: bool = False,
        save_raw_boxes: bool = False,
        nms_iou: float = 0.3,
        detections_per_image: int = 300,
        distributed: bool = True,
    ) -> None:
        self._dataset_name = dataset_name
        self._dicts, class_names = registered_dataset(dataset_name)
        self._protocol = MsraProtocol(self._dicts, class_names, motion_iou)
        self._output_dir = Path(output_dir) if output_dir is not None else None
        self._seq_nms = seq_nms
        self._save_raw_boxes = save_raw_boxes
        self._nms_iou = nms_iou
        self._detections_per_image = detections_per_image
        self._distributed = distributed
        self.reset()

    def reset(self) -> None:
        """Forgets all frames."""
        self._frames: dict[int, Detections] = {}

    def process(self, inputs: Sequence[Mapping], outputs: Sequence[Mapping]) -> None:
        """Keeps the detections of a batch; a frame seen twice counts once.

        Args:
            inputs: frame dicts with `image_id`.
            outputs: `instances` with `pred_boxes`, `scores` and `pred_classes` of each frame, in
                pixels of the original image.
        """
        for frame, output in zip(inputs, outputs, strict=True):
            self._frames[frame["image_id"]] = detections_of(frame["image_id"], output["instances"])

    def evaluate(self) -> "OrderedDict[str, OrderedDict[str, float]] | None":
        """Scores all frames.

        Returns:
            On the main process `{"bbox": {"AP50": ..., "AP50-slow": ..., "AP50-<class>": ...}}` in
            percent, NaN where a cell has no ground truth; None elsewhere. Where frames have no
            outputs, "frames-left-out" is their number; their objects count as not found.
        """
        frames = self._gather()
        if frames is None:
            return None
        detections = rounded(self._finish(frames))
        tables = self._protocol.score(detections)
        for table in tables:
            logger.info("%s by motion on %s:\n%s", table.metric, self._dataset_name, table)
        results = results_of(tables)
        left_out = len(self._dicts) - sum(frame["image_id"] in frames for frame in self._dicts)
        if left_out:
            results["bbox"]["frames-left-out"] = left_out
        if self._output_dir is not None:
            write_predictions(self._output_dir / "detections.txt", detections)
            write_results(self._output_dir / "results.json", results)
        return results

    def _gather(self) -> dict[int, Detections] | None:
        """Detections of each frame from all ranks; None on other ranks than the main one."""
        if not self._distributed:
            return self._frames
        comm.synchronize()
        parts = comm.gather(self._frames, dst=0)
        if not comm.is_main_process():
            return None
        return {image_id: frame for part in parts for image_id, frame in part.items()}

    def _finish(self, frames: dict[int, Detections]) -> Detections:
        """All detections in order of the data set, after Seq-NMS where it is on."""
        known = [frame["image_id"] for frame in self._dicts if frame["image_id"] in frames]
        if len(known) < len(self._dicts):
            logger.warning(
                "%d of %d frames of %s have no outputs; they count as frames without detections.",
                len(self._dicts) - len(known),
                len(self._dicts),
                self._dataset_name,
            )
        detections = Detections.concatenate([frames[image_id] for image_id in known])
        if not self._seq_nms:
            return detections
        if self._save_raw_boxes and self._output_dir is not None:
            write_exact_text(self._output_dir / "raw_detections.txt", detections)
        return seq_nms_dataset(self._dicts, detections, self._nms_iou, self._detections_per_image)
