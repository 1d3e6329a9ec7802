"""The cached frames of a video, and which of them lie in the window around a key frame."""

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
    """The last frames of one video, at most as many as the windows of the next key frames need.

    Frames are numbered 0, 1, ... in the order in which they are added.

    Attributes:
        key_position: position of the key frame in its window.
        lookahead: frames behind the key frame that its window reaches to.
    """

    def __init__(self, radius: int, causal: bool = False, stride: int = 1) -> None:
        """
        Args:
            radius: frames on each side of the key frame, K.
            causal: leaves out the frames behind the key frame, which are then not waited for.
            stride: distance of the frames of a window from each other.
        """
        self._offsets = [i * stride for i in range(-radius, 1 if causal else radius + 1)]
        self.key_position = radius
        self.lookahead = self._offsets[-1]
        self._frames: deque[FrameEncoding] = deque()
        self._first = 0

    @property
    def end(self) -> int:
        """Number of frames added so far."""
        return self._first + len(self._frames)

    def __len__(self) -> int:
        """Number of frames that are held."""
        return len(self._frames)

    def add(self, frame: FrameEncoding) -> None:
        self._frames.append(frame)

    def __getitem__(self, number: int) -> FrameEncoding:
        """The frame of a number.

        Raises:
            InputError: where it was not added yet, or was already forgotten.
        """
        if not self._first <= number < self.end:
            raise InputError(
                f"frame {number} of the video is not among the frames {self._first} to "
                f"{self.end - 1} at hand; pass the frames of a video in order, and each of them"
            )
        return self._frames[number - self._first]

    def around(self, key: int) -> list[int]:
        """The number of the frame at each position of a key frame's window, in order of time.

        Beyond the ends of the video its first and last frame repeat.

        Raises:
            InputError: where the key frame or one of its window is not at hand.
        """
        numbers = [min(max(key + offset, 0), self.end - 1) for offset in self._offsets]
        for number in (key, numbers[0]):
            self[number]
        return numbers

    def forget_before(self, number: int) -> None:
        """Lets go of the frames before one, which no later key frame may need."""
        while self._frames and self._first < number:
            self._frames.popleft()
            self._first += 1
