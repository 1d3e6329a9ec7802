"""Detection in a stream of frames, for programs of your own.

predictor = VideoPredictor(cfg)
for frame_index, instances in predictor(frames):
    ...
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import transforms as T
from detectron2.modeling import build_model
from detectron2.structures import Instances

from fgfa.checkpoint import FGFACheckpointer
from fgfa.data.resizing import build_augmentation, image_scale
from fgfa.data.samplers import frames_at_once
from fgfa.errors import InputError
from fgfa.modeling import FGFA, Explanation
from fgfa.modeling.inference_layout import prepare_for_inference
from fgfa.modeling.postprocess import to_frame_pixels


class VideoPredictor:
    """Detects objects in the frames of a video, one frame after the other.

    Frames are resized as in evaluation and go through the backbone once. The results are those of
    `train_net.py --eval-only` on the same frames, to the last bit, without Seq-NMS, which needs
    whole videos. Memory does not grow with the length of a video.

    Autocast works around the loop over the frames, and parts of `model` can be compiled:

        predictor.model.backbone.compile()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            for frame_index, instances in predictor(frames):
    """

    def __init__(self, cfg: CfgNode, causal: bool = False) -> None:
        """Builds the model and loads `MODEL.WEIGHTS`.

        Args:
            cfg: config of an FGFA model, or of a single-frame `GeneralizedRCNN` or `LegacyRCNN`.
            causal: aggregates past frames only, so that the result of a frame comes before the
                next frame is read; as `MODEL.FGFA.CAUSAL` does.

        Raises:
            InputError: if the weights are missing or do not fit, or `TEST.FRAMES_PER_BATCH` is
                below 1.
        """
        if causal:
            cfg = cfg.clone()
            cfg.defrost()
            cfg.MODEL.FGFA.CAUSAL = True
        self.model = build_model(cfg)
        FGFACheckpointer(self.model, cfg).load(cfg.MODEL.WEIGHTS)
        prepare_for_inference(self.model)
        self._batch_size = frames_at_once(cfg)
        self._augmentations = T.AugmentationList(build_augmentation(cfg, is_train=False))
        self._is_rgb = cfg.INPUT.FORMAT == "RGB"
        self._wants_reset = False

    def __call__(
        self, frames: Iterable[np.ndarray], resized_by: float | None = None
    ) -> Iterator[tuple[int, Instances]]:
        """Detects in one or, where `reset` is called or the frame size changes, several videos.

        Args:
            frames: BGR images, uint8, (H, W, 3). They are read one at a time and not kept.
            resized_by: factor by which the frames were resized already, such as 600 / 720. They
                are then taken as they are, and boxes are in pixels of the frames before that.

        Yields:
            The number of a frame in `frames`, from 0, and its detections in its own pixels; in
            order. An FGFA model of radius K yields a frame when the K frames after it are read, or
            the video ends; `TEST.FRAMES_PER_BATCH` B above 1 yields B of them at once.

        Raises:
            InputError: if a frame is not such an image, or the factor is not positive.
        """
        kind = _AggregatedVideo if isinstance(self.model, FGFA) else _SingleFrameVideo
        for start, key, instances in self._run(frames, resized_by, kind):
            yield start + key, instances

    def explain(
        self, frames: Iterable[np.ndarray], resized_by: float | None = None
    ) -> Iterator[tuple[int, Instances, Explanation]]:
        """Detects as a call does, and tells what went into each frame's detections.

        Args:
            frames: see `__call__`.
            resized_by: see `__call__`.

        Yields:
            What a call yields and its explanation, in which frames are numbered as in `frames`.

        Raises:
            InputError: as a call does, and where the model does not aggregate frames.
        """
        if not isinstance(self.model, FGFA):
            raise InputError("a single-frame model aggregates nothing; explain an FGFA model")
        for start, key, (instances, explanation) in self._run(frames, resized_by, _ExplainedVideo):
            numbers = [start + number for number in explanation.frames]
            yield start + key, instances, dataclasses.replace(explanation, frames=numbers)

    def reset(self) -> None:
        """Makes the next frame that is read the first of a new video, for example at a cut."""
        self._wants_reset = True

    def _run(
        self, frames: Iterable[np.ndarray], resized_by: float | None, kind: type["_Video"]
    ) -> Iterator[tuple[int, int, Any]]:
        """For each frame the number of its video's first frame, its number in its video, and the
        result of that kind of video."""
        if resized_by is not None and not resized_by > 0:
            raise InputError(f"resized_by is {resized_by}; pass a positive factor, or none")
        self._wants_reset = False
        video, start, size = None, 0, None
        for index, frame in enumerate(frames):
            _check_frame(frame, index)
            if video is None or self._wants_reset or frame.shape[:2] != size:
                if video is not None:
                    yield from ((start, *result) for result in video.finish())
                start, size = index, frame.shape[:2]
                video = kind(self.model, *self._frame_size(size, resized_by), self._batch_size)
                self._wants_reset = False
            image = self._to_tensor(frame, resized_by is None)
            yield from ((start, *result) for result in video.push(image))
        if video is not None:
            yield from ((start, *result) for result in video.finish())

    def _frame_size(
        self, size: tuple[int, int], resized_by: float | None
    ) -> tuple[tuple[int, int], float | None]:
        """Size of the frames whose pixels boxes are wanted in, and the factor from it, if any."""
        if resized_by is None:
            return size, image_scale(self._augmentations.augs, size)
        height, width = (round(side / resized_by) for side in size)
        return (height, width), resized_by

    def _to_tensor(self, frame: np.ndarray, resizes: bool) -> torch.Tensor:
        image = frame[:, :, ::-1] if self._is_rgb else frame
        if resizes:
            resized = T.AugInput(np.ascontiguousarray(image))
            self._augmentations(resized)  # changes what it is given
            image = resized.image
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class _Video:
    """A video on its way through a model: frames in, a result for each of them out."""

    def __init__(
        self,
        model: torch.nn.Module,
        frame_size: tuple[int, int],
        scale: float | None,
        frames_per_batch: int,
        lookahead: int = 0,
    ) -> None:
        self._model = model
        self._frame_size = frame_size
        self._scale = scale
        self._frames_per_batch = frames_per_batch
        self._lookahead = lookahead
        self._pushed = 0
        self._detected = 0

    def push(self, image: torch.Tensor) -> Iterator[tuple[int, Any]]:
        """Takes the next frame (3, H, W); yields the frames whose windows it completes, if any."""
        self._add(image)
        self._pushed += 1
        if self._pushed == self._detected + self._frames_per_batch + self._lookahead:
            yield from self._detect_next(self._frames_per_batch)

    def finish(self) -> Iterator[tuple[int, Any]]:
        """Yields the frames that were waiting for more."""
        while self._detected < self._pushed:
            yield from self._detect_next(min(self._frames_per_batch, self._pushed - self._detected))

    @torch.no_grad()
    def _detect_next(self, count: int) -> list[tuple[int, Any]]:
        keys = range(self._detected, self._detected + count)
        self._detected += count
        return list(zip(keys, self._detect(keys), strict=True))

    def _add(self, image: torch.Tensor) -> None:
        raise NotImplementedError

    def _detect(self, keys: Sequence[int]) -> list[Any]:
        """A result for each of the next frames, with boxes in pixels of the frame."""
        raise NotImplementedError


class _AggregatedVideo(_Video):
    def __init__(
        self,
        model: FGFA,
        frame_size: tuple[int, int],
        scale: float | None,
        frames_per_batch: int,
    ) -> None:
        self._video = model.start_video(scale)
        lookahead = self._video.window.lookahead
        super().__init__(model, frame_size, scale, frames_per_batch, lookahead)

    def _add(self, image: torch.Tensor) -> None:
        self._video.add(image)

    def _detect(self, keys: Sequence[int]) -> list[Instances]:
        return [self._to_frame_pixels(instances) for instances in self._video.detect(keys)]

    def _to_frame_pixels(self, instances: Instances) -> Instances:
        return to_frame_pixels(instances, *self._frame_size, self._scale)


class _ExplainedVideo(_AggregatedVideo):
    def _detect(self, keys: Sequence[int]) -> list[tuple[Instances, Explanation]]:
        return [
            (
                self._to_frame_pixels(instances),
                dataclasses.replace(
                    explanation, single_frame=self._to_frame_pixels(explanation.single_frame)
                ),
            )
            for instances, explanation in self._video.explain(keys)
        ]


class _SingleFrameVideo(_Video):
    def _add(self, image: torch.Tensor) -> None:
        if self._pushed == self._detected:
            self._images: list[torch.Tensor] = []
        self._images.append(image)

    def _detect(self, keys: Sequence[int]) -> list[Instances]:
        height, width = self._frame_size
        size = {"height": height, "width": width}
        scale = {} if self._scale is None else {"image_scale": self._scale}
        items = [{"image": image, **size, **scale} for image in self._images]
        return [output["instances"] for output in self._model.inference(items)]


def _check_frame(frame: np.ndarray, index: int) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InputError(
            f"frame {index} is {frame.dtype} of shape {frame.shape}; pass BGR images, uint8, of "
            "shape (H, W, 3)"
        )
