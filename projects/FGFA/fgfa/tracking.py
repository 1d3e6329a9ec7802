"""Numbers that stay with an object while a video goes on."""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from detectron2.structures import Instances

from fgfa.evaluation.box_matching import match_boxes


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
    3); a track that finds no box waits a few frames for one.
    """

    def __init__(self, min_iou: float = 0.5, max_missed: int = 2) -> None:
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
        followed = np.array([track.box for track in self._tracks]).reshape(-1, 4)
        followed_labels = np.array([track.label for track in self._tracks], np.int64)
        links = match_boxes(followed, followed_labels, boxes, labels, self.min_iou)
        chosen = {box: self._tracks[track] for box, track in links.items()}
        for box in instances.scores.argsort(descending=True, stable=True).tolist():
            if box not in chosen:
                chosen[box] = _Track(next(self._numbers), int(labels[box]), boxes[box])
                self._tracks.append(chosen[box])
        self._follow({track.number: boxes[box] for box, track in chosen.items()})
        numbered = Instances(instances.image_size, **instances.get_fields())
        numbers = [chosen[box].number for box in range(len(instances))]
        numbered.track_ids = torch.tensor(numbers, dtype=torch.int64)
        return numbered

    def _follow(self, boxes: dict[int, np.ndarray]) -> None:
        for track in self._tracks:
            track.missed = 0 if track.number in boxes else track.missed + 1
            track.box = boxes.get(track.number, track.box)
        self._tracks = [track for track in self._tracks if track.missed <= self.max_missed]
