"""Detection in a stream of frames, for programs of your own.

predictor = VideoPredictor(cfg)
for frame_index, instances in predictor(frames):
    ...
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import transforms as T
from detectron2.modeling import build_model
from detectron2.structures import Instances

from fgfa.checkpoint import FGFACheckpointer
from fgfa.data.resizing import build_augmentation, image_scale
from fgfa.errors import InputError
from fgfa.modeling import FGFA, FrameWindow
from fgfa.modeling.postprocess import to_frame_pixels


class VideoPredictor:
    """Detects objects in the frames of a video, one frame after the other.

    Frames are resized as in evaluation and go through the backbone once. The results are those of
    `train_net.py --eval-only` on the same frames, without Seq-NMS, which needs whole videos.
    """

    def __init__(self, cfg: CfgNode, causal: bool = False) -> None:
        """Builds the model and loads `MODEL.WEIGHTS`.

        Args:
            cfg: config of an FGFA model, or of a single-frame `GeneralizedRCNN` or `LegacyRCNN`.
            causal: aggregates past frames only, so that the result of a frame comes before the
                next frame is read.

        Raises:
            InputError: if the weights are missing or do not fit.
        """
        self.model = build_model(cfg).eval()
        FGFACheckpointer(self.model, cfg).load(cfg.MODEL.WEIGHTS)
        self.causal = causal
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
            the video ends.

        Raises:
            InputError: if a frame is not such an image, or the factor is not positive.
        """
        if resized_by is not None and not resized_by > 0:
            raise InputError(f"resized_by is {resized_by}; pass a positive factor, or none")
        self._wants_reset = False
        video, start, size = None, 0, None
        for index, frame in enumerate(frames):
            _check_frame(frame, index)
            if video is None or self._wants_reset or frame.shape[:2] != size:
                if video is not None:
                    yield from _numbered(start, video.finish())
                start, size = index, frame.shape[:2]
                video = self._start_video(size, resized_by)
                self._wants_reset = False
            yield from _numbered(start, video.push(self._to_tensor(frame, resized_by is None)))
        if video is not None:
            yield from _numbered(start, video.finish())

    def reset(self) -> None:
        """Makes the next frame that is read the first of a new video, for example at a cut."""
        self._wants_reset = True

    def _start_video(self, size: tuple[int, int], resized_by: float | None) -> "_Video":
        if resized_by is None:
            frame_size, scale = size, image_scale(self._augmentations.augs, size)
        else:
            height, width = (round(side / resized_by) for side in size)
            frame_size, scale = (height, width), resized_by
        if isinstance(self.model, FGFA):
            return _AggregatedVideo(self.model, frame_size, scale, self.causal)
        return _SingleFrameVideo(self.model, frame_size, scale)

    def _to_tensor(self, frame: np.ndarray, resizes: bool) -> torch.Tensor:
        image = frame[:, :, ::-1] if self._is_rgb else frame
        if resizes:
            resized = T.AugInput(np.ascontiguousarray(image))
            self._augmentations(resized)  # changes what it is given
            image = resized.image
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class _Video:
    """A video on its way through a model: frames in, detections out."""

    def __init__(self, frame_size: tuple[int, int], scale: float | None, lookahead: int) -> None:
        self.frame_size = frame_size
        self.scale = scale
        self._lookahead = lookahead
        self._pushed = 0
        self._detected = 0

    def push(self, image: torch.Tensor) -> Iterator[tuple[int, Instances]]:
        """Takes the next frame (3, H, W); yields the frame whose window it completes, if any."""
        self._add(image)
        self._pushed += 1
        if self._pushed > self._lookahead:
            yield self._detect_next()

    def finish(self) -> Iterator[tuple[int, Instances]]:
        """Yields the frames that were waiting for more."""
        while self._detected < self._pushed:
            yield self._detect_next()

    @torch.no_grad()
    def _detect_next(self) -> tuple[int, Instances]:
        key = self._detected
        self._detected += 1
        return key, self._detect(key)

    def _add(self, image: torch.Tensor) -> None:
        raise NotImplementedError

    def _detect(self, key: int) -> Instances:
        """Detections in pixels of the frame."""
        raise NotImplementedError


class _AggregatedVideo(_Video):
    def __init__(
        self, model: FGFA, frame_size: tuple[int, int], scale: float | None, causal: bool
    ) -> None:
        self._model = model
        self._window = FrameWindow(model.test_radius, causal)
        super().__init__(frame_size, scale, self._window.lookahead)

    def _add(self, image: torch.Tensor) -> None:
        for encoding in self._model.encode([image]):
            self._window.add(encoding)

    def _detect(self, key: int) -> Instances:
        instances = self._model.detect(self._window, key, self.scale)
        return to_frame_pixels(instances, *self.frame_size, self.scale)


class _SingleFrameVideo(_Video):
    def __init__(
        self, model: torch.nn.Module, frame_size: tuple[int, int], scale: float | None
    ) -> None:
        self._model = model
        super().__init__(frame_size, scale, lookahead=0)

    def _add(self, image: torch.Tensor) -> None:
        self._image = image

    def _detect(self, key: int) -> Instances:
        height, width = self.frame_size
        item = {"image": self._image, "height": height, "width": width}
        if self.scale is not None:
            item["image_scale"] = self.scale
        (output,) = self._model.inference([item])
        return output["instances"]


def _numbered(
    start: int, detections: Iterator[tuple[int, Instances]]
) -> Iterator[tuple[int, Instances]]:
    return ((start + key, instances) for key, instances in detections)


def _check_frame(frame: np.ndarray, index: int) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InputError(
            f"frame {index} is {frame.dtype} of shape {frame.shape}; pass BGR images, uint8, of "
            "shape (H, W, 3)"
        )
