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
from detectron2.data.detection_utils import build_augmentation
from detectron2.modeling import build_model
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Instances

from fgfa.checkpoint import FGFACheckpointer
from fgfa.errors import InputError
from fgfa.modeling import FGFA, FrameWindow


class VideoPredictor:
    """Detects objects in the frames of a video, one frame after the other.

    Frames are resized as in evaluation and go through the backbone once. The results are those of
    `train_net.py --eval-only` on the same frames, without Seq-NMS, which needs whole videos.
    """

    def __init__(self, cfg: CfgNode, causal: bool = False) -> None:
        """Builds the model and loads `MODEL.WEIGHTS`.

        Args:
            cfg: config of an FGFA model, or of a single-frame `GeneralizedRCNN`.
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

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[int, Instances]]:
        """Detects in one or, where `reset` is called or the frame size changes, several videos.

        Args:
            frames: BGR images, uint8, (H, W, 3). They are read one at a time and not kept.

        Yields:
            The number of a frame in `frames`, from 0, and its detections in its own pixels; in
            order. An FGFA model of radius K yields a frame when the K frames after it are read, or
            the video ends.

        Raises:
            InputError: if a frame is not such an image.
        """
        self._wants_reset = False
        video, start = None, 0
        for index, frame in enumerate(frames):
            _check_frame(frame, index)
            if video is None or self._wants_reset or frame.shape[:2] != video.frame_size:
                if video is not None:
                    yield from _numbered(start, video.finish())
                video, start = self._start_video(frame.shape[:2]), index
                self._wants_reset = False
            yield from _numbered(start, video.push(self._to_tensor(frame)))
        if video is not None:
            yield from _numbered(start, video.finish())

    def reset(self) -> None:
        """Makes the next frame that is read the first of a new video, for example at a cut."""
        self._wants_reset = True

    def _start_video(self, frame_size: tuple[int, int]) -> "_Video":
        if isinstance(self.model, FGFA):
            return _AggregatedVideo(self.model, frame_size, self.causal)
        return _SingleFrameVideo(self.model, frame_size)

    def _to_tensor(self, frame: np.ndarray) -> torch.Tensor:
        image = np.ascontiguousarray(frame[:, :, ::-1] if self._is_rgb else frame)
        resized = self._augmentations(T.AugInput(image)).apply_image(image)
        return torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)))


class _Video:
    """A video on its way through a model: frames in, detections out."""

    def __init__(self, frame_size: tuple[int, int], lookahead: int) -> None:
        self.frame_size = frame_size
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
        return key, detector_postprocess(self._detect(key), *self.frame_size)

    def _add(self, image: torch.Tensor) -> None:
        raise NotImplementedError

    def _detect(self, key: int) -> Instances:
        raise NotImplementedError


class _AggregatedVideo(_Video):
    def __init__(self, model: FGFA, frame_size: tuple[int, int], causal: bool) -> None:
        self._model = model
        self._window = FrameWindow(model.test_radius, causal)
        super().__init__(frame_size, self._window.lookahead)

    def _add(self, image: torch.Tensor) -> None:
        for encoding in self._model.encode([image]):
            self._window.add(encoding)

    def _detect(self, key: int) -> Instances:
        return self._model.detect(self._window, key)


class _SingleFrameVideo(_Video):
    def __init__(self, model: torch.nn.Module, frame_size: tuple[int, int]) -> None:
        self._model = model
        super().__init__(frame_size, lookahead=0)

    def _add(self, image: torch.Tensor) -> None:
        self._image = image

    def _detect(self, key: int) -> Instances:
        (instances,) = self._model.inference([{"image": self._image}], do_postprocess=False)
        return instances


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
