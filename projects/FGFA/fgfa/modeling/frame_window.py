"""The window of cached frames around the key frame."""

from collections import deque
from dataclasses import dataclass

import torch

from fgfa.errors import InputError


@dataclass(frozen=True)
class FrameEncoding:
    """What is kept of a frame after its one pass through the backbone.

    Attributes:
        feature: shape (C, H, W).
        embedding: shape (E, H, W).
        flow_image: shape (3, image height, image width), normalized for the flow network.
        image_size: height and width of the frame in pixels, without padding.
    """

    feature: torch.Tensor
    embedding: torch.Tensor
    flow_image: torch.Tensor
    image_size: tuple[int, int]


class FrameWindow:
    """The last frames of one video, at most as many as a key frame's window needs.

    Frames are numbered 0, 1, ... in the order in which they are added. Key frames must not go
    back: frames that lie before a key frame's window are forgotten.
    """

    def __init__(self, radius: int, causal: bool = False) -> None:
        """
        Args:
            radius: frames on each side of the key frame, K.
            causal: leaves out the frames behind the key frame, which are then not waited for.
        """
        self.radius = radius
        self.lookahead = 0 if causal else radius
        self._frames: deque[FrameEncoding] = deque()
        self._first = 0

    @property
    def end(self) -> int:
        """Number of frames added so far."""
        return self._first + len(self._frames)

    def add(self, frame: FrameEncoding) -> None:
        self._frames.append(frame)

    def around(self, key: int) -> tuple[list[FrameEncoding], int, list[int]]:
        """The window of a key frame.

        Args:
            key: number of the key frame.

        Returns:
            The different frames of the window, in order; the index of the key frame among them;
            and the index of the frame at each position of the window (key - K, ..., key + K, or up
            to key where causal): beyond the ends of the video its first and last frame repeat.

        Raises:
            InputError: where the key frame was not added, or was already forgotten.
        """
        if not self._first <= key < self.end:
            raise InputError(
                f"frame {key} of the video is not in the window of frames {self._first} to "
                f"{self.end - 1}; pass the frames of a video in order, and each of them"
            )
        first, last = max(key - self.radius, 0), min(key + self.lookahead, self.end - 1)
        if first < self._first:
            raise InputError(f"frame {first} is needed for key frame {key} but was forgotten")
        while self._first < first:
            self._frames.popleft()
            self._first += 1
        positions = range(key - self.radius, key + self.lookahead + 1)
        frames = list(self._frames)[: last - first + 1]
        return frames, key - first, [min(max(p, first), last) - first for p in positions]
