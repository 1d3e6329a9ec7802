"""Numbers that stay with an object while a video goes on."""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from detectron2.structures import Instances

from fgfa.evaluation.box_matching import match_boxes
from fgfa.evaluation.seq_nms import LINK_IOU

# Links go through boxes down to this score, of which one frame alone does not convince.
LINKED_SCORE = 0.05


@dataclass
class _Track:
    number: int
    label: int
    box: np.ndarray
    missed: int = 0


class Tracker:
    """Links the detections of a video from frame to frame.

    A detection continues the track of its class whose last box it overlaps, in the pairs of
    largest total IoU. With the default these are the links of Seq-NMS (Han et al., 2016, section
    3). A track that finds no box waits a few frames for one that the tracks seen later leave over.
    """

    def __init__(self, min_iou: float = LINK_IOU, max_missed: int = 2) -> None:
        """
        Args:
            min_iou: the least IoU (+1 widths) of a link.
            max_missed: frames in a row without a box after which a track ends.
        """
        self.min_iou = min_iou
        self.max_missed = max_missed
        self._tracks: list[_Track] = []
        self._numbers = itertools.count(1)
        self._image_size: tuple[int, int] | None = None

    def update(self, instances: Instances) -> Instances:
        """Numbers the detections of the next frame.

        A frame of another size starts a new video: its numbers go on, but no track does.

        Args:
            instances: `pred_boxes` (N), `pred_classes` (N) and `scores` (N).

        Returns:
            A copy with `track_ids` (N), int64, on the CPU: from 1 in the order in which tracks
            begin, in a frame by falling score.
        """
        if instances.image_size != self._image_size:
            self._tracks, self._image_size = [], instances.image_size
        boxes = instances.pred_boxes.tensor.double().cpu().numpy()
        labels = instances.pred_classes.cpu().numpy()
        # Of equal scores by class and place, so that the order of detections makes no difference.
        order = np.lexsort((*boxes.T, labels, -instances.scores.double().cpu().numpy()))
        chosen = self._links(order, boxes, labels)
        for box in order.tolist():
            if box not in chosen:
                chosen[box] = _Track(next(self._numbers), int(labels[box]), boxes[box])
                self._tracks.append(chosen[box])
        self._follow({track.number: boxes[box] for box, track in chosen.items()})
        numbered = Instances(instances.image_size, **instances.get_fields())
        numbers = [chosen[box].number for box in range(len(instances))]
        numbered.track_ids = torch.tensor(numbers, dtype=torch.int64)
        return numbered

    def _links(self, order: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> dict[int, _Track]:
        """The track that each box, by its index, continues; those seen last come first."""
        chosen: dict[int, _Track] = {}
        for missed in range(self.max_missed + 1):
            tracks = [track for track in self._tracks if track.missed == missed]
            free = [box for box in order.tolist() if box not in chosen]
            before = np.array([track.box for track in tracks]).reshape(-1, 4)
            before_labels = np.array([track.label for track in tracks], np.int64)
            pairs = match_boxes(before, before_labels, boxes[free], labels[free], self.min_iou)
            chosen |= {free[box]: tracks[track] for box, track in pairs.items()}
        return chosen

    def _follow(self, boxes: dict[int, np.ndarray]) -> None:
        for track in self._tracks:
            track.missed = 0 if track.number in boxes else track.missed + 1
            track.box = boxes.get(track.number, track.box)
        self._tracks = [track for track in self._tracks if track.missed <= self.max_missed]
