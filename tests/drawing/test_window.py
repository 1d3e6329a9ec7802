"""Strips of a window."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fgfa.drawing import draw_window
from fgfa.drawing.window_layout import KEY_COLOR, Columns
from fgfa.drawing.window_rows import distance_label, weight_row
from fgfa.errors import InputError


@dataclass
class FakeWindow:
    frames: list[int]
    key: int
    flow: torch.Tensor
    weights: torch.Tensor


def make_window(length: int, key: int, cells: tuple[int, int] = (4, 6)) -> FakeWindow:
    weights = torch.full((length, *cells), 1 / length)
    return FakeWindow(list(range(length)), key, torch.zeros(length, 2, *cells), weights)


def gray_frames(length: int, height: int = 64, width: int = 96) -> list[np.ndarray]:
    return [np.full((height, width, 3), 100, np.uint8)] * length


def redness(image: np.ndarray) -> np.ndarray:
    return image[:, :, 2].astype(int) - image[:, :, 0]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_strips_have_the_width_asked_for(data: st.DataObject):
    width = data.draw(st.integers(16, 2000))
    length = data.draw(st.integers(1, 40))
    key = data.draw(st.integers(0, length - 1))
    height, frame_width = data.draw(st.integers(2, 80)), data.draw(st.integers(2, 80))
    window = make_window(length, key, (-(-height // 16), -(-frame_width // 16)))
    images = gray_frames(length, height, frame_width)
    show = data.draw(st.sampled_from([["weights"], ["flow"], ["weights", "flow"]]))
    strip = draw_window(images, window, width, show)
    assert strip.shape[1:] == (width, 3)
    assert strip.dtype == np.uint8
    random = torch.Generator().manual_seed(0)
    window.flow = 99 * torch.randn(window.flow.shape, generator=random)
    window.weights = torch.rand(window.weights.shape, generator=random).softmax(dim=0)
    assert draw_window(images, window, width, show).shape == strip.shape


def test_rows_come_in_the_order_asked_for():
    window, images = make_window(3, 1), gray_frames(3)
    both = draw_window(images, window, 400, ["weights", "flow"])
    turned = draw_window(images, window, 400, ["flow", "weights"])
    assert both.shape == turned.shape
    assert (both != turned).any()
    assert draw_window(images, window, 400, []).shape == (0, 400, 3)


def test_unknown_row_is_refused():
    with pytest.raises(InputError, match="'depth'"):
        draw_window(gray_frames(3), make_window(3, 1), 400, ["depth"])


def test_only_the_key_frame_has_a_rim():
    strip = draw_window(gray_frames(3), make_window(3, 1), 400, ["flow"])
    columns = Columns.fit(400, 3, 1, (64, 96))
    rims = [
        tuple(strip[columns.size[1] - 1, left + columns.size[0] // 2]) == KEY_COLOR
        for left in columns.lefts
    ]
    assert rims == [False, True, False]


def test_stand_ins_at_the_ends_are_marked():
    real, repeated = make_window(3, 1), make_window(3, 1)
    repeated.frames = [1, 1, 2]
    one, other = (draw_window(gray_frames(3), w, 400, ["flow"]) for w in (real, repeated))
    columns = Columns.fit(400, 3, 1, (64, 96))
    changed = (one != other).any(axis=(0, 2))
    assert changed[columns.lefts[0] : columns.lefts[1]].any()
    assert not changed[columns.lefts[1] :].any()


@pytest.mark.parametrize(
    ("frames", "key", "labels"),
    [
        ([4, 5, 6, 7, 8], 2, ["-2", "-1", "key", "+1", "+2"]),
        ([0, 0, 0, 1, 1], 2, ["=key", "=key", "key", "+1", "=+1"]),
        # Every third frame, in a video that begins a frame before the key frame.
        ([0, 0, 1, 4, 7], 2, ["=-1", "-1", "key", "+3", "+6"]),
        ([2, 4, 6], 2, ["-4", "-2", "key"]),
        ([3], 0, ["key"]),
    ],
)
def test_labels_are_distances_in_frames(frames: list[int], key: int, labels: list[str]):
    window = make_window(len(frames), key)
    window.frames = frames
    assert [distance_label(window, position) for position in range(len(frames))] == labels


def test_strided_window_is_labeled_in_frames_in_all_rows():
    adjacent, strided = make_window(3, 1), make_window(3, 1)
    strided.frames = [0, 2, 4]
    one, other = (draw_window(gray_frames(3), w, 400, ["weights"]) for w in (adjacent, strided))
    columns = Columns.fit(400, 3, 1, (64, 96))
    changed = (one != other).any(axis=2)
    assert changed[: columns.line_height].any()
    assert changed[-columns.line_height :].any()


def test_weights_above_even_are_red_and_below_blue_where_they_are():
    window, columns = make_window(3, 1), Columns.fit(400, 3, 1, (64, 96))
    window.weights[0, :2] += 0.2
    window.weights[2, :2] -= 0.2
    row = weight_row(gray_frames(3), window, columns)
    thumbnails = [
        redness(row[columns.line_height :][: columns.size[1], left : left + columns.size[0]])
        for left in columns.lefts
    ]
    quarter = columns.size[1] // 4
    upper, lower = (
        [t[at, columns.size[0] // 2] for t in thumbnails] for at in (quarter, 3 * quarter)
    )
    assert upper[0] > 50 and upper[1] == 0 and upper[2] < -50
    assert lower == [0, 0, 0]


def test_bars_are_longer_where_weights_are_greater():
    window, columns = make_window(2, 1), Columns.fit(400, 2, 1, (64, 96))
    window.weights = torch.tensor([0.2, 0.8])[:, None, None].expand(2, 4, 6)
    row = weight_row(gray_frames(2), window, columns)
    bars = row[columns.line_height + columns.size[1] + 2 : -columns.line_height]
    left, right = (redness(bars)[:, at] for at in (100, 300))
    assert 0 < (left < 0).sum() < (right > 0).sum()


def test_flow_is_colored_in_the_frame_that_it_goes_to():
    window, columns = make_window(3, 1), Columns.fit(400, 3, 1, (64, 96))
    window.flow[2, 0] = 1.5
    still = draw_window(gray_frames(3), make_window(3, 1), 400, ["flow"])
    moving = draw_window(gray_frames(3), window, 400, ["flow"])
    place = slice(-columns.size[1] - 2, None)
    changed = (still != moving)[place].any(axis=(0, 2))
    assert changed[columns.lefts[2] : columns.lefts[2] + columns.size[0]].all()
    assert not changed[: columns.lefts[2]].any()
