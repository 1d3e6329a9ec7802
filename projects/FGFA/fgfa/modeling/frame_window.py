"""The cached frames of a video, and which of them lie in the window around a key frame."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from fgfa.errors import InputError

# Fields of `FrameEncoding` that every frame of a window is asked for. Only key frames, and those
# behind them, are asked for the other one, `flow_key`.
_WINDOW_MAPS = ("feature", "embedding", "flow_neighbor")


@dataclass(frozen=True)
class FrameEncoding:
    """What is kept of a frame after its one pass through the backbone.

    Attributes:
        feature: shape (C, H, W).
        embedding: shape (E, H, W).
        flow_key: what the flow network made of the frame as a key frame, see `FlowNet.as_key`;
            three axes, channels first.
        flow_neighbor: what it made of the frame as a neighbor.
        image_size: height and width of the frame in pixels, without padding.
    """

    feature: torch.Tensor
    embedding: torch.Tensor
    flow_key: torch.Tensor
    flow_neighbor: torch.Tensor
    image_size: tuple[int, int]


class FrameWindow:
    """The last frames of one video, at most as many as the windows of the next key frames need.

    Frames are numbered 0, 1, ... in the order in which they are added. Each kind of map has a
    tensor with a row for each frame; a new frame takes the row of one that was forgotten, and at
    the ends of a video, where its first or last frame repeats, rows that are free hold copies of
    it. So a window of adjacent frames, which has all rows, is at hand without another copy of it
    all. What only key frames are asked for is forgotten when they have been one.

    Attributes:
        key_position: position of the key frame in its window.
        lookahead: frames behind the key frame that its window reaches to.
        end: number of frames added so far.
        image_size: height and width of the frames in pixels, without padding.
    """

    def __init__(
        self, radius: int, causal: bool = False, stride: int = 1, keys_at_once: int = 1
    ) -> None:
        """
        Args:
            radius: frames on each side of the key frame, K.
            causal: leaves out the frames behind the key frame, which are then not waited for.
            stride: distance of the frames of a window from each other.
            keys_at_once: adjacent key frames that are detected in together.
        """
        self._offsets = [i * stride for i in range(-radius, 1 if causal else radius + 1)]
        self.key_position = radius
        self.lookahead = self._offsets[-1]
        self.end = 0
        self._num_rows = self.lookahead - self._offsets[0] + keys_at_once
        # (rows, H, W, channels), so that rows have the memory format that operators like best.
        self._maps: dict[str, torch.Tensor] = {}
        # (H, W, channels) each, by the number of the frame.
        self._flow_keys: dict[int, torch.Tensor] = {}
        self._rows: dict[int, int] = {}  # by the number of a frame that is at hand
        self._copied: dict[int, int] = {}  # numbers of frames by the row that has a copy of it
        self.image_size = (0, 0)

    def __len__(self) -> int:
        """Number of frames that are held."""
        return len(self._rows)

    def add(self, frame: FrameEncoding) -> None:
        """Copies the maps of the next frame."""
        maps = {name: getattr(frame, name).permute(1, 2, 0) for name in _WINDOW_MAPS}
        if not self._maps:
            self._maps = {name: x.new_empty(self._num_rows, *x.shape) for name, x in maps.items()}
            self.image_size = frame.image_size
        if len(self._rows) == self._num_rows:
            self._add_rows()
        free = self._free_rows()[0]
        self._copied.pop(free, None)
        for name, rows in self._maps.items():
            rows[free] = maps[name]
        self._rows[self.end] = free
        self._flow_keys[self.end] = frame.flow_key.permute(1, 2, 0).contiguous()
        self.end += 1

    def _add_rows(self) -> None:
        """Makes room for a caller who adds frames before earlier ones are forgotten."""
        self._num_rows *= 2
        self._maps = {
            name: torch.cat([rows, torch.empty_like(rows)]) for name, rows in self._maps.items()
        }

    def maps(self, name: str, numbers: Sequence[int]) -> torch.Tensor:
        """The maps of N frames, (N, channels, H, W), channels-last.

        Args:
            name: that of a map of `FrameEncoding`.
            numbers: of the frames. Where they are in neighboring rows no copy is made.

        Raises:
            InputError: where one was not added yet, or was already forgotten.
        """
        if name == "flow_key":
            return self._stack_flow_keys(numbers).permute(0, 3, 1, 2)
        if list(numbers) == self._by_row():
            return self._maps[name].permute(0, 3, 1, 2)
        rows = [self._row(number) for number in numbers]
        first, count = rows[0], len(rows)
        is_run = rows == list(range(first, first + count))
        chosen = slice(first, first + count) if is_run else rows
        return self._maps[name][chosen].permute(0, 3, 1, 2)

    def _stack_flow_keys(self, numbers: Sequence[int]) -> torch.Tensor:
        for number in numbers:
            if number not in self._flow_keys:
                raise self._not_at_hand(number, self._flow_keys)
        if len(numbers) == 1:
            return self._flow_keys[numbers[0]][None]
        return torch.stack([self._flow_keys[number] for number in numbers])

    def around(self, key: int) -> list[int]:
        """The number of the frame at each position of a key frame's window, in order of time.

        Beyond the ends of the video its first and last frame repeat.

        Raises:
            InputError: where the key frame or one of its window is not at hand.
        """
        numbers = [min(max(key + offset, 0), self.end - 1) for offset in self._offsets]
        for number in (key, numbers[0]):
            self._row(number)
        return numbers

    def as_stored(self, numbers: Sequence[int]) -> list[int]:
        """Frame numbers in the order in which `maps` gives them without a copy, if there is one.

        Args:
            numbers: of a window. If they are all frames at hand, and some of them repeat, these are
                copied into rows that are free.
        """
        if len(numbers) != self._num_rows or set(numbers) != set(self._rows):
            return list(numbers)
        repeated = (Counter(numbers) - Counter(self._rows.keys())).elements()
        for row, number in zip(self._free_rows(), repeated, strict=True):
            if self._copied.get(row) != number:
                self._copied[row] = number
                for rows in self._maps.values():
                    rows[row] = rows[self._rows[number]]
        return self._by_row()

    def _free_rows(self) -> list[int]:
        return sorted(set(range(self._num_rows)) - set(self._rows.values()))

    def _by_row(self) -> list[int | None]:
        """The number of the frame whose maps each row has, None where it has none."""
        numbers = self._copied | {row: number for number, row in self._rows.items()}
        return [numbers.get(row) for row in range(self._num_rows)]

    def release(self, key: int) -> None:
        """Lets go of the frames that no key frame behind this one needs."""
        first = key + 1 + self._offsets[0]
        self._rows = {number: row for number, row in self._rows.items() if number >= first}
        self._flow_keys = {n: flow_key for n, flow_key in self._flow_keys.items() if n > key}

    def _row(self, number: int) -> int:
        if number not in self._rows:
            raise self._not_at_hand(number, self._rows)
        return self._rows[number]

    @staticmethod
    def _not_at_hand(number: int, numbers: Collection[int]) -> InputError:
        held = f"{min(numbers)} to {max(numbers)}" if numbers else "of which none is"
        return InputError(
            f"frame {number} of the video is not among the frames {held} at hand; pass the "
            "frames of a video in order, and each of them"
        )
