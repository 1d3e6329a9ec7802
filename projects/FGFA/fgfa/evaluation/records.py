"""The two flat tables that evaluation passes around: ground-truth boxes and detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from fgfa.errors import InputError


@dataclass(frozen=True)
class Detections:
    """Detections of many frames, one row each.

    Attributes:
        image_ids: (N,) int64, the `image_id` of the frame.
        classes: (N,) int64, contiguous from 0.
        scores: (N,) float64.
        boxes: (N, 4) float64, x1 y1 x2 y2 in pixels of the original image.
    """

    image_ids: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: np.ndarray | slice) -> Detections:
        return Detections(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def empty() -> Detections:
        return Detections(
            np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 4))
        )

    @staticmethod
    def concatenate(parts: Sequence[Detections]) -> Detections:
        parts = [Detections.empty(), *parts]
        return Detections(
            *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Detections))
        )


@dataclass(frozen=True)
class GroundTruth:
    """Boxes of all frames of a data set, frame by frame in its order.

    Attributes:
        image_ids: (F,) int64, one a frame, all different.
        counts: (F,) int64, boxes of each frame.
        classes: (G,) int64, contiguous from 0.
        boxes: (G, 4) float64, x1 y1 x2 y2 in pixels.
    """

    image_ids: np.ndarray
    counts: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray

    @property
    def frames(self) -> np.ndarray:
        """(G,) int64, the position in `image_ids` of each box's frame."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @staticmethod
    def from_dicts(dicts: Sequence[dict]) -> GroundTruth:
        """Takes the boxes out of frame dicts.

        Args:
            dicts: a registered data set; `annotations` hold `bbox` as XYXY_ABS and `category_id`.

        Raises:
            InputError: two frames have the same `image_id`, so that detections fit both.
        """
        image_ids = np.array([frame["image_id"] for frame in dicts], np.int64)
        _, first, repeats = np.unique(image_ids, return_index=True, return_counts=True)
        if (repeats > 1).any():
            frame = dicts[first[repeats > 1][0]]
            raise InputError(
                f"frame {frame['file_name']} shares image_id {frame['image_id']} with another "
                "frame: give every line of the frame list an id of its own"
            )
        annotations = [box for frame in dicts for box in frame["annotations"]]
        return GroundTruth(
            image_ids,
            np.array([len(frame["annotations"]) for frame in dicts], np.int64),
            np.array([box["category_id"] for box in annotations], np.int64),
            np.array([box["bbox"] for box in annotations], np.float64).reshape(-1, 4),
        )


def ragged_arange(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Joins the ranges starts[i] .. starts[i] + counts[i] - 1, shape (counts.sum(),), int64."""
    skipped = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(starts - skipped, counts)


def stable_order(keys: np.ndarray) -> np.ndarray:
    """What `np.argsort(keys, kind="stable")` gives, in linear time.

    Args:
        keys: (N,) int64, 0 to 2^32 - 1.
    """
    # Numpy's stable sort of 16-bit integers is a radix sort.
    order = np.argsort((keys & 0xFFFF).astype(np.uint16), kind="stable")
    return order[np.argsort((keys[order] >> 16).astype(np.uint16), kind="stable")]
