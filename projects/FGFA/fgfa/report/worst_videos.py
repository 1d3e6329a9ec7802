"""The videos in which AP is lowest, with frames that show what goes wrong there."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from fgfa.data.frame_reading import read_frame
from fgfa.drawing import draw_box
from fgfa.errors import InputError
from fgfa.evaluation.analysis import Analysis
from fgfa.evaluation.bootstrap import ap_of_samples
from fgfa.evaluation.class_mean import class_mean
from fgfa.evaluation.error_breakdown import CORRECT, KINDS

WIDTH = 480  # pixels of a drawn frame
# BGR.
CORRECT_COLOR, ERROR_COLOR, MISSED_COLOR = (115, 158, 0), (0, 159, 230), (0, 0, 220)
TRUTH_COLOR = (255, 255, 255)


def video_ap(analysis: Analysis, videos: np.ndarray) -> np.ndarray:
    """AP50 of each video by itself, over all motion, percent; NaN where it has no boxes.

    Args:
        analysis: a model's detections.
        videos: (F,) number of each frame's video, 0..V-1.

    Returns:
        Shape (V,).
    """
    matches = analysis.matches
    all_motion = replace(matches, in_motion=matches.in_motion[:1], weights=matches.weights[:1])
    each_video = np.eye(videos.max() + 1, dtype=np.int64)
    num_classes = len(analysis.table.class_names)
    return 100 * class_mean(ap_of_samples(all_motion, num_classes, videos, each_video)[:, 0])


def draw_errors(analysis: Analysis, frame: int, image: np.ndarray) -> np.ndarray:
    """Draws a frame's boxes and its looked-at detections (`error_breakdown`).

    Ground truth is white, or red where it is missed; detections are green where they are correct,
    orange where they are not.

    Args:
        analysis: a model's detections.
        frame: its place in the data set.
        image: BGR, uint8, (H, W, 3).

    Returns:
        The same, `WIDTH` pixels wide.
    """
    scale = WIDTH / image.shape[1]
    size = (WIDTH, round(image.shape[0] * scale))
    drawn = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    names, errors, truth = (
        analysis.table.class_names,
        analysis.errors,
        analysis.matches.ground_truth,
    )
    for box in np.flatnonzero(truth.frames == frame):
        corners = (truth.boxes[box] * scale).round().astype(int).tolist()
        if errors.missed[box]:
            draw_box(drawn, corners, f"{names[truth.classes[box]]} missed", MISSED_COLOR)
        else:
            cv2.rectangle(drawn, corners[:2], corners[2:], TRUTH_COLOR, 1)
    there = np.flatnonzero(analysis.matches.frames[errors.rows] == frame)[::-1]  # best on top
    found, kinds = analysis.matches.detections[errors.rows[there]], errors.kinds[there]
    for kind, label, score, box in zip(
        kinds, found.classes, found.scores, found.boxes * scale, strict=True
    ):
        error = "" if kind == CORRECT else f" {KINDS[kind]}"
        text = f"{names[label]} {score:.2f}{error}"
        color = ERROR_COLOR if error else CORRECT_COLOR
        draw_box(drawn, box.round().astype(int).tolist(), text, color)
    return drawn


def read_frames(dicts: Sequence[dict], frames: Sequence[int]) -> list[np.ndarray] | None:
    """The images, BGR, of some frames of a data set; None where one is not there."""
    try:
        return [
            read_frame(frame["file_name"], "BGR", (frame["height"], frame["width"]))
            for frame in (dicts[i] for i in frames)
        ]
    except InputError:
        return None
