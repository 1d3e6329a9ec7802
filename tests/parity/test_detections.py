"""The original's proposals, scores, boxes and detections in every frame of a video."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest
import torch
from detectron2.structures import Instances

from fgfa.data.frame_choice import entering_frames
from fgfa.modeling import FGFA

BOX_STDS = torch.tensor([0.1, 0.1, 0.2, 0.2])
FRAMES = range(8)
FRAME_SIZE = (720, 1280)


class Pass(NamedTuple):
    """What becomes of a frame behind the aggregation."""

    rois: torch.Tensor  # (300, 4), pixels of the resized frame
    logits: torch.Tensor  # (300, 31), background last
    deltas: torch.Tensor  # (300, 4), divided by their standard deviations
    detections: Instances  # pixels of the frame


@pytest.fixture(scope="module")
def passes(
    original_model: FGFA, frames: list[torch.Tensor], video_arrays: Mapping[str, np.ndarray]
) -> list[Pass]:
    head = original_model.roi_heads
    scale = video_arrays["scale"].item()
    seen = []

    def predict(feature: torch.Tensor, boxes: list[torch.Tensor]) -> tuple:
        seen.append((boxes[0], *type(head).predict(head, feature, boxes)))
        return seen[-1][1:]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head, "predict", predict)
        outputs = original_model.inference(
            [
                {
                    "frame_index": key,
                    "new_frames": [
                        frames[i]
                        for i in entering_frames(key, len(frames), original_model.test_radius)
                    ],
                    "height": FRAME_SIZE[0],
                    "width": FRAME_SIZE[1],
                    "image_scale": scale,
                }
                for key in range(len(frames))
            ]
        )
    return [Pass(*s, o["instances"]) for s, o in zip(seen, outputs, strict=True)]


def assert_near(ours: torch.Tensor, original: np.ndarray, atol: float) -> None:
    torch.testing.assert_close(ours, torch.from_numpy(original), atol=atol, rtol=0)


@pytest.mark.parametrize("frame", FRAMES)
def test_proposals(passes, video_arrays, frame):
    assert_near(passes[frame].rois, video_arrays["rois"][frame, :, 1:], atol=0.01)


@pytest.mark.parametrize("frame", FRAMES)
def test_probabilities(passes, video_arrays, frame):
    background_first = passes[frame].logits.softmax(dim=1).roll(1, dims=1)
    assert_near(background_first, video_arrays["cls_prob"][frame], atol=1e-4)


@pytest.mark.parametrize("frame", FRAMES)
def test_box_deltas(passes, video_arrays, frame):
    # The original's last four of eight are those of the foreground.
    assert_near(passes[frame].deltas * BOX_STDS, video_arrays["bbox_pred"][frame, :, 4:], atol=1e-4)


@pytest.mark.parametrize("frame", FRAMES)
def test_detections_are_the_same_set(passes, assert_original_detections, frame):
    assert_original_detections(frame, passes[frame].detections)
    assert passes[frame].detections.image_size == FRAME_SIZE
