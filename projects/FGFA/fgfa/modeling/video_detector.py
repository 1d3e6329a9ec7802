"""One video on its way through FGFA: frames in, detections of key frames out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from detectron2.structures import Instances

from fgfa.freed_memory import FreedMemory
from fgfa.layers import aggregate, flow_warp, similarity_weights

from .explanation import Explanation
from .frame_window import FrameEncoding, FrameWindow
from .window_flow import FlowFunctions, WindowFlow


class VideoDetector:
    """Keeps the frames around the key frames of one video, and detects in them.

    Evaluation and streams in programs of users pass frames through it in the same way, one after
    the other, so that they compute the same in the same batches and their results are equal to the
    last bit.

    Attributes:
        window: the frames that were encoded.
    """

    def __init__(
        self,
        window: FrameWindow,
        window_flow: WindowFlow,
        frames_per_batch: int,
        *,
        encode: Callable[[Sequence[torch.Tensor]], list[FrameEncoding]],
        flow_net: FlowFunctions,
        find_objects: Callable[[torch.Tensor, tuple[int, int]], list[Instances]],
    ) -> None:
        """
        Args:
            window: without frames.
            window_flow: see `window_flow.window_flow`.
            frames_per_batch: frames that are encoded together.
            encode: takes images of frames through backbone and embedding.
            flow_net: estimates flow between pairs of frames.
            find_objects: detects in feature maps (B, C, H, W) of frames of a height and width.
        """
        self.window = window
        self._window_flow = window_flow
        self._frames_per_batch = frames_per_batch
        self._encode = encode
        self._flow_net = flow_net
        self._find_objects = find_objects
        self._waiting: list[torch.Tensor] = []
        self._freed_memory = FreedMemory()

    def add(self, image: torch.Tensor) -> None:
        """Takes in the next frame, (3, H, W), 0 to 255, in the channel order of `INPUT.FORMAT`."""
        self._waiting.append(image)
        if len(self._waiting) == self._frames_per_batch:
            self._encode_waiting()

    @torch.no_grad()
    def detect(self, keys: Sequence[int]) -> list[Instances]:
        """Detections of key frames, in pixels of the resized frame (see `to_frame_pixels`).

        Args:
            keys: numbers of adjacent frames of the video, behind those of the call before.

        Raises:
            InputError: where the frames of a window are not at hand.
        """
        self._encode_waiting()
        return self._find([self._open_window(key).aggregate() for key in keys])

    @torch.no_grad()
    def explain(self, keys: Sequence[int]) -> list[tuple[Instances, Explanation]]:
        """Detections of key frames as `detect` gives them, and what went into them."""
        self._encode_waiting()
        aggregated, explanations = [], []
        for key in keys:
            window = self._open_window(key)
            aggregated.append(window.aggregate())
            (alone,) = self._find([self.window.maps("feature", [key])])
            in_time = sorted(range(len(window.numbers)), key=window.numbers.__getitem__)
            explanations.append(
                Explanation(
                    frames=sorted(window.numbers),
                    key=self.window.key_position,
                    flow=window.flow[in_time].float().cpu(),
                    weights=window.weights()[in_time].float().cpu(),
                    single_frame=alone,
                )
            )
        return list(zip(self._find(aggregated), explanations, strict=True))

    def _encode_waiting(self) -> None:
        if not self._waiting:
            return
        self._freed_memory.give_back()
        for frame in self._encode(self._waiting):
            self.window.add(frame)
        self._waiting.clear()

    def _open_window(self, key: int) -> "_Window":
        # Sums over a window have no order.
        numbers = self.window.move_to(key)
        flow = self._window_flow(self._flow_net, self.window, key, numbers)
        # The key frame goes through flow and warp like every other frame of its window.
        own = flow[numbers.index(key), None]
        return _Window(
            numbers,
            self.window.window_maps("feature"),
            self.window.window_maps("embedding"),
            flow,
            flow_warp(self.window.maps("embedding", [key]), own),
        )

    def _find(self, features: Sequence[torch.Tensor]) -> list[Instances]:
        return self._find_objects(torch.cat(features), self.window.image_size)


class _Window(NamedTuple):
    """What `aggregate` takes for a key frame with T frames, until the window moves."""

    numbers: list[int]  # of the T frames
    features: torch.Tensor  # (T, C, H, W)
    embeddings: torch.Tensor  # (T, E, H, W)
    flow: torch.Tensor  # (T, 2, H, W)
    key_embedding: torch.Tensor  # (1, E, H, W)

    def aggregate(self) -> torch.Tensor:
        """The sum of the warped features, (1, C, H, W)."""
        return aggregate(self.features, self.embeddings, self.flow, self.key_embedding)

    def weights(self) -> torch.Tensor:
        """The weights that `aggregate` gives the frames, (T, H, W)."""
        warped = flow_warp(self.embeddings, self.flow)
        return similarity_weights(warped, self.key_embedding).squeeze(1)
