"""AP50 of runs, over seeds, and of differences, each with the samples of the bootstrap."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from detectron2.layers import batched_nms

from fgfa.evaluation.analysis import number_videos
from fgfa.evaluation.bootstrap import ap_of_samples, draw_videos, percentile_interval
from fgfa.evaluation.class_mean import class_mean
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.official_text import rounded
from fgfa.evaluation.prediction_file import read_prediction_files
from fgfa.evaluation.records import Detections

SAMPLES = 1000


@dataclass(frozen=True)
class Score:
    """AP50, or a difference of AP50, in percent, for M groups of motion.

    Attributes:
        ap: (M,) on the videos.
        samples: (R, M) on the same videos drawn again, the same draws for all scores.
    """

    ap: np.ndarray
    samples: np.ndarray

    def __sub__(self, other: Score) -> Score:
        return Score(self.ap - other.ap, self.samples - other.samples)

    def estimate(self) -> np.ndarray:
        """Value, lower and upper end of its 95 % interval, (3, M)."""
        return np.stack([self.ap, *percentile_interval(self.samples)])


BySeed = Mapping[int, Score]


def mean_over_seeds(scores: BySeed) -> Score:
    """The mean, for each draw of the videos as well: that seeds differ does not widen intervals."""
    return Score(
        np.mean([score.ap for score in scores.values()], axis=0),
        np.mean([score.samples for score in scores.values()], axis=0),
    )


def difference(scores: BySeed, others: BySeed) -> Score | None:
    """How much higher scores are than others, the mean over the seeds of both, if there are any."""
    common = {seed: score - others[seed] for seed, score in scores.items() if seed in others}
    return mean_over_seeds(common) if common else None


class Scorer:
    """Scores files of detections by the rules of the original."""

    def __init__(
        self,
        dicts: Sequence[dict],
        class_names: Sequence[str],
        motion_iou: str | os.PathLike[str] = "",
        samples: int = SAMPLES,
    ) -> None:
        """
        Args:
            dicts: frames of the validation videos.
            class_names: by category id.
            motion_iou: path of a motion IoU file, or "" to compute it from track ids.
            samples: of the bootstrap, R.
        """
        self._protocol = MsraProtocol(dicts, class_names, motion_iou)
        self._num_classes = len(class_names)
        self._image_ids = np.array([frame["image_id"] for frame in dicts], np.int64)
        self._videos = number_videos(dicts)
        self._draws = draw_videos(self._videos.max() + 1, samples)

    @property
    def motions(self) -> list[str]:
        """M names of the groups, all first."""
        return self._protocol.motions

    def score(self, path: str | os.PathLike[str]) -> Score:
        """Scores a file of detections.

        Raises:
            InputError: it cannot be read.
        """
        return self._score(self._read(path))

    def score_raw(
        self, path: str | os.PathLike[str], nms_iou: float, detections_per_image: int
    ) -> Score:
        """Scores a file of boxes before NMS, after the NMS and the limit of the model.

        Raises:
            InputError: it cannot be read.
        """
        return self._score(rounded(after_nms(self._read(path), nms_iou, detections_per_image)))

    def _read(self, path: str | os.PathLike[str]) -> Detections:
        return read_prediction_files([path], self._num_classes, self._image_ids)

    def _score(self, detections: Detections) -> Score:
        matches = self._protocol.match(detections)
        means = self._protocol.table(matches).means()[: len(self.motions)]
        samples = ap_of_samples(matches, self._num_classes, self._videos, self._draws)
        return Score(means, 100 * class_mean(samples))


def after_nms(detections: Detections, nms_iou: float, detections_per_image: int) -> Detections:
    """What Detectron2's R-CNN head leaves of boxes before NMS, but for boxes of equal scores.

    Args:
        detections: of any frames.
        nms_iou: IoU above which the lower-scored of two boxes of a class is dropped.
        detections_per_image: how many to leave of a frame; below 0 all.
    """
    limit = None if detections_per_image < 0 else detections_per_image
    boxes = torch.from_numpy(detections.boxes).float()
    scores = torch.from_numpy(detections.scores).float()
    classes = torch.from_numpy(detections.classes)
    kept = [np.zeros(0, np.int64)]
    for rows in _rows_of_frames(detections.image_ids):
        best_first = batched_nms(boxes[rows], scores[rows], classes[rows], nms_iou).numpy()
        kept.append(rows[best_first[:limit]])
    return detections[np.concatenate(kept)]


def _rows_of_frames(image_ids: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(image_ids, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(image_ids[order])) + 1) if len(order) else []
