"""One video on its way through FGFA: frames in, detections of key frames out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from detectron2.structures import Instances

from fgfa.layers import aggregate, flow_warp, similarity_weights

from .explanation import Explanation
from .frame_window import FrameEncoding, FrameWindow
from .window_flow import FlowFunction, WindowFlow


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
        flow_net: FlowFunction,
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
        detections = self._detect(self._open_windows(keys))
        self.window.release(keys[-1])
        return detections

    @torch.no_grad()
    def explain(self, keys: Sequence[int]) -> list[tuple[Instances, Explanation]]:
        """Detections of key frames as `detect` gives them, and what went into them."""
        maps = self._open_windows(keys)
        detections = self._detect(maps)
        own_features = self.window.maps("feature", keys)
        alone = self._find_objects(own_features, self.window.image_size)
        flow = maps.flow.float().cpu().chunk(len(keys))
        weights = maps.weights().float().cpu().chunk(len(keys))
        explanations = []
        for i, numbers in enumerate(maps.numbers):
            in_time = sorted(range(len(numbers)), key=numbers.__getitem__)
            explanations.append(
                Explanation(
                    frames=[numbers[position] for position in in_time],
                    key=self.window.key_position,
                    flow=flow[i][in_time],
                    weights=weights[i][in_time],
                    single_frame=alone[i],
                )
            )
        self.window.release(keys[-1])
        return list(zip(detections, explanations, strict=True))

    def _encode_waiting(self) -> None:
        for frame in self._encode(self._waiting):
            self.window.add(frame)
        self._waiting.clear()

    def _open_windows(self, keys: Sequence[int]) -> "_WindowMaps":
        """Encodes what waits, and gathers the windows of the key frames."""
        self._encode_waiting()
        # Sums over a window have no order.
        numbers = [self.window.as_stored(self.window.around(key)) for key in keys]
        flow = self._window_flow(self._flow_net, self.window, keys, numbers)
        # The key frame goes through flow and warp like every other frame of its window.
        length = len(numbers[0])
        own = [i * length + numbers[i].index(key) for i, key in enumerate(keys)]
        all_numbers = [number for window in numbers for number in window]
        return _WindowMaps(
            numbers,
            self.window.maps("feature", all_numbers),
            self.window.maps("embedding", all_numbers),
            flow,
            flow_warp(self.window.maps("embedding", keys), flow[own]),
        )

    def _detect(self, maps: "_WindowMaps") -> list[Instances]:
        feature = aggregate(maps.features, maps.embeddings, maps.flow, maps.key_embeddings)
        return self._find_objects(feature, self.window.image_size)


class _WindowMaps(NamedTuple):
    """What `aggregate` takes for B key frames with T frames each."""

    numbers: list[list[int]]  # of the T frames of each key frame
    features: torch.Tensor  # (B * T, C, H, W)
    embeddings: torch.Tensor  # (B * T, E, H, W)
    flow: torch.Tensor  # (B * T, 2, H, W)
    key_embeddings: torch.Tensor  # (B, E, H, W)

    def weights(self) -> torch.Tensor:
        """The weights that `aggregate` gives the frames, (B * T, H, W)."""
        keys = self.key_embeddings.split(1)
        windows = (maps.chunk(len(keys)) for maps in (self.embeddings, self.flow))
        return torch.cat(
            [
                similarity_weights(flow_warp(embeddings, flow), key).squeeze(1)
                for embeddings, flow, key in zip(*windows, keys, strict=True)
            ]
        )
