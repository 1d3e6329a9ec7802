"""A small data set on disk and two models' analyses of it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fgfa.evaluation.analysis import Analysis, analyze, number_videos
from fgfa.evaluation.bootstrap import draw_videos
from fgfa.evaluation.msra_protocol import MsraProtocol
from fgfa.evaluation.records import Detections

HEIGHT, WIDTH = 120, 240
BOX, FAR = [20.0, 40, 99, 99], [150.0, 40, 199, 99]


@pytest.fixture
def dicts(tmp_path: Path) -> list[dict]:
    """Two videos of eight gray frames with a cat."""
    frames = []
    for index in range(16):
        path = tmp_path / "data" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
        annotation = {"bbox": BOX, "category_id": 0, "track_id": 0}
        frames.append(
            {
                "file_name": str(path),
                "image_id": index + 1,
                "height": HEIGHT,
                "width": WIDTH,
                "video_id": f"video <{index // 8}>",
                "frame_index": index % 8,
                "annotations": [annotation],
            }
        )
    return frames


@pytest.fixture
def videos(dicts: list[dict]) -> np.ndarray:
    return number_videos(dicts)


@pytest.fixture
def analyses(dicts: list[dict], videos: np.ndarray) -> list[Analysis]:
    """One model finds every cat, the other sees all cats of the second video in a wrong place."""
    protocol = MsraProtocol(dicts, ["cat"])
    boxes = np.array([BOX] * 16)
    wrong = np.array([BOX] * 8 + [FAR] * 8)

    def of(name, boxes):
        found = Detections(np.arange(1, 17), np.zeros(16, int), np.linspace(0.9, 0.5, 16), boxes)
        return analyze(name, found, protocol, videos, draw_videos(2, 50))

    return [of("good", boxes), of("<b>half</b>", wrong)]
