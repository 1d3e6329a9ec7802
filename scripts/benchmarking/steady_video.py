"""Models, and videos that fill their windows, to measure what one frame more costs."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import Instances
from torch import Tensor, nn

from benchmarking.workloads import moving_blobs
from fgfa.checkpoint import FGFACheckpointer
from fgfa.errors import InputError
from fgfa.modeling import FGFA

_CALIBRATION_SIZE = (128, 192)


class Video(Protocol):
    """What `FGFA.start_video` gives."""

    def add(self, image: Tensor) -> None: ...

    def detect(self, keys: Sequence[int]) -> list[Instances]: ...


class SteadyVideo:
    """A video on its way: a step takes in as many frames as it detects in."""

    def __init__(self, model: FGFA, video: Video, frames: Iterator[Tensor], key: int) -> None:
        """
        Args:
            model: gives the size of a step.
            video: with the frames before and behind the first key frame, but for the last step.
            frames: those that follow, without end.
            key: number of the first key frame.
        """
        self._video = video
        self._frames = frames
        self._step = model.frames_per_batch
        self._key = key

    def step(self) -> list[Instances]:
        """Takes in `frames_per_batch` frames and gives the detections of as many key frames."""
        for _ in range(self._step):
            self._video.add(next(self._frames))
        keys = range(self._key, self._key + self._step)
        self._key += self._step
        return self._video.detect(keys)


def fill(model: FGFA, video: Video, frames: Iterator[Tensor]) -> SteadyVideo:
    """Adds the first frames to a video, so that the window of the first key frame is full."""
    before, behind = context(model)
    for _ in range(before + behind):
        video.add(next(frames))
    return SteadyVideo(model, video, frames, before)


def play(model: FGFA, video: Video, frames: Iterator[Tensor]) -> SteadyVideo:
    """Detects in a video from its first frame on, until the window of a key frame is full."""
    before, behind = context(model)
    for _ in range(behind):
        video.add(next(frames))
    steady = SteadyVideo(model, video, frames, key=0)
    for _ in range(-(-before // model.frames_per_batch)):
        steady.step()
    return steady


def context(model: FGFA) -> tuple[int, int]:
    """How many frames before and behind a key frame its window reaches to."""
    reach = model.test_radius * model.test_stride
    return reach, 0 if model.causal else reach


def build(cfg: CfgNode, with_weights: bool) -> FGFA:
    """An FGFA model in evaluation mode.

    Args:
        cfg: its config.
        with_weights: loads `MODEL.WEIGHTS`; else weights are random, always the same.

    Raises:
        InputError: where the config is of another model, or the weights cannot be used.
    """
    if cfg.MODEL.META_ARCHITECTURE != "FGFA":
        raise InputError(
            f"a {cfg.MODEL.META_ARCHITECTURE} has no windows of frames; use a config whose "
            "MODEL.META_ARCHITECTURE is FGFA"
        )
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    if with_weights:
        FGFACheckpointer(model, cfg).load(cfg.MODEL.WEIGHTS)
    else:
        set_going(model)
    return model


@torch.no_grad()
def set_going(model: FGFA) -> None:
    """Gives a random model flow that is not zero, and features of about 1."""
    for parameter in model.flow_net.parameters():
        if parameter.dim() > 1 and not parameter.any():
            nn.init.kaiming_normal_(parameter)
    image = next(moving_blobs(_CALIBRATION_SIZE))
    batch = model.preprocess_image([{"image": image}])
    model.pixel_std *= model.backbone(batch.tensor)[model.feature_name].std()
