"""The cached frames of a video, and which of them lie in the window around a key frame."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from fgfa.errors import InputError

# Fields of `FrameEncoding` that are summed over a window, in which frames repeat at the ends of the
# video, and all of them.
_WHOLE_MAPS = ("feature", "embedding")
_MAPS = (*_WHOLE_MAPS, "flow_image", "flow_neighbor")


@dataclass(frozen=True)
class FrameEncoding:
    """What is kept of a frame after its one pass through the backbone.

    Attributes:
        feature: shape (C, H, W).
        embedding: shape (E, H, W).
        flow_image: what the flow network keeps of the frame, see `FlowNet.shrink`; three axes,
            channels first.
        flow_neighbor: what it made of the frame as a neighbor, see `FlowNet.as_neighbor`.
        image_size: height and width of the frame in pixels, without padding.
    """

    feature: torch.Tensor
    embedding: torch.Tensor
    flow_image: torch.Tensor
    flow_neighbor: torch.Tensor
    image_size: tuple[int, int]


class FrameWindow:
    """The frames of one video in the window of a key frame, and those behind it that were added.

    Frames are numbered 0, 1, ... in the order in which they are added. Each kind of map has a
    tensor with a row for each frame that a window reaches over. Frame n takes the row of frame
    n - rows, which the window leaves behind as it comes to frame n; beyond the ends of the video
    copies of its first and last frame take the rows. So a window of adjacent frames, which has all
    rows, is at hand without another copy of it. Frames that it has not come to wait as they are.

    Attributes:
        key_position: position of the key frame in its window, in order of time.
        lookahead: frames behind the key frame that its window reaches to.
        end: number of frames added so far.
        image_size: height and width of the frames in pixels, without padding.
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
        self.end = 0
        self.image_size = (0, 0)
        self._key = -1  # the key frame that the window is around
        self._reached = 0  # end of its frames, which may be behind that of the video
        self._num_rows = self.lookahead - self._offsets[0] + 1
        # (rows, H, W, channels), so that rows have the memory format that operators like best.
        self._maps: dict[str, torch.Tensor] = {}
        self._window_rows: list[int] = []
        self._waiting: deque[FrameEncoding] = deque()

    def __len__(self) -> int:
        """Number of frames that are held."""
        return len(self._held())

    def add(self, frame: FrameEncoding) -> None:
        """Takes the next frame."""
        self.image_size = frame.image_size
        self._waiting.append(frame)
        self.end += 1
        self._take_in()

    def _take_in(self) -> None:
        """Copies the maps of waiting frames that the window has come to."""
        while self._waiting and self._taken <= self._key + self.lookahead:
            row = self._row(self._taken)
            frame = self._waiting.popleft()
            maps = {name: getattr(frame, name).permute(1, 2, 0) for name in _MAPS}
            if not self._maps:
                # The first frame stands for those before it.
                self._maps = {name: torch.stack([x] * self._num_rows) for name, x in maps.items()}
            for name, rows in self._maps.items():
                rows[row] = maps[name]

    def around(self, key: int) -> list[int]:
        """The number of the frame at each position of a key frame's window, in order of time.

        Beyond the ends of the video its first and last frame repeat.

        Raises:
            InputError: where the key frame was not added yet, or lies before the last one.
        """
        _check_at_hand([key], range(max(self._key, 0), self.end))
        return [min(max(key + offset, 0), self.end - 1) for offset in self._offsets]

    def move_to(self, key: int) -> list[int]:
        """Moves the window to a key frame, and forgets the frames that it leaves behind.

        Args:
            key: number of a frame of the video, none before that of the last call.

        Returns:
            What `around` does, in the order in which `window_maps` gives them.

        Raises:
            InputError: see `around`.
        """
        in_time = self.around(key)
        self._key = key
        self._take_in()
        reached = key + self.lookahead + 1
        for number in range(max(self.end, self._reached), reached):
            # Not for the others: the flow network sees a repeated frame once.
            for name in _WHOLE_MAPS:
                rows = self._maps[name]
                rows[self._row(number)] = rows[self._row(self.end - 1)]
        self._reached = reached
        numbers = zip((self._row(key + offset) for offset in self._offsets), in_time, strict=True)
        by_row = dict(sorted(numbers))
        self._window_rows = list(by_row)
        return list(by_row.values())

    def window_maps(self, name: str) -> torch.Tensor:
        """The features or embeddings of the window, (T, channels, H, W), channels-last.

        No copy is made of a window of adjacent frames. It holds until the window moves.

        Args:
            name: "feature" or "embedding".
        """
        return self._rows_of(name, self._window_rows)

    def maps(self, name: str, numbers: Sequence[int]) -> torch.Tensor:
        """The maps of N frames, (N, channels, H, W), channels-last.

        Args:
            name: that of a map of `FrameEncoding`.
            numbers: of the frames. Where they are in neighboring rows no copy is made.

        Raises:
            InputError: where one was not added yet, or was already forgotten.
        """
        _check_at_hand(numbers, self._held())
        if max(numbers) < self._taken:
            return self._rows_of(name, [self._row(number) for number in numbers])
        maps = [self._map(name, number) for number in numbers]
        return (maps[0][None] if len(maps) == 1 else torch.stack(maps)).permute(0, 3, 1, 2)

    def _map(self, name: str, number: int) -> torch.Tensor:
        """The map (H, W, channels) of a frame."""
        if number < self._taken:
            return self._maps[name][self._row(number)]
        return getattr(self._waiting[number - self._taken], name).permute(1, 2, 0)

    def _rows_of(self, name: str, rows: list[int]) -> torch.Tensor:
        first, count = rows[0], len(rows)
        is_run = rows == list(range(first, first + count))
        return self._maps[name][slice(first, first + count) if is_run else rows].permute(0, 3, 1, 2)

    def _row(self, number: int) -> int:
        return number % self._num_rows

    @property
    def _taken(self) -> int:
        """Number of frames whose maps were copied into rows so far."""
        return self.end - len(self._waiting)

    def _held(self) -> range:
        """The numbers of the frames that are held."""
        return range(max(self._key + self._offsets[0], 0), self.end)


def _check_at_hand(numbers: Sequence[int], held: Collection[int]) -> None:
    for number in numbers:
        if number not in held:
            frames = f"{min(held)} to {max(held)}" if held else "of which none is"
            raise InputError(
                f"frame {number} of the video is not among the frames {frames} at hand; pass the "
                "frames of a video in order, and each of them"
            )
