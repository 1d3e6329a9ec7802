"""The window of cached frames, against a plain list of all frames."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgfa.errors import InputError
from fgfa.modeling import FrameEncoding, FrameWindow


def make_frame(number: int) -> FrameEncoding:
    value = torch.full((1, 1, 1), float(number))
    return FrameEncoding(value, value, value, value, image_size=(1, 1))


def make_window(count: int, **options: int) -> FrameWindow:
    window = FrameWindow(**options)
    for number in range(count):
        window.add(make_frame(number))
    return window


def numbers_of(window: FrameWindow, numbers: Sequence[int]) -> list[int]:
    """The numbers that frames were made with."""
    return window.maps("feature", numbers).flatten().tolist()


@given(
    length=st.integers(1, 12),
    radius=st.integers(0, 4),
    causal=st.booleans(),
    stride=st.integers(1, 3),
)
def test_window_is_that_of_a_list_of_all_frames(
    length: int, radius: int, causal: bool, stride: int
):
    window = FrameWindow(radius, causal, stride)
    ahead = 0 if causal else radius * stride
    assert window.lookahead == ahead
    for key in range(length):
        while window.end < min(key + ahead + 1, length):
            window.add(make_frame(window.end))
        numbers = window.around(key)
        wanted = range(key - radius * stride, key + ahead + 1, stride)
        assert numbers == [min(max(i, 0), length - 1) for i in wanted]
        assert numbers[window.key_position] == key
        assert numbers_of(window, numbers) == numbers
        window.release(key)


@given(radius=st.integers(0, 4), causal=st.booleans(), stride=st.integers(1, 3))
def test_memory_does_not_grow_with_the_video(radius: int, causal: bool, stride: int):
    window = FrameWindow(radius, causal, stride)
    for number in range(50):
        window.add(make_frame(number))
        if number >= window.lookahead:
            assert len(window) <= radius * stride + window.lookahead + 1
            window.release(number - window.lookahead)


@pytest.mark.parametrize("key", [-1, 3])
def test_frame_that_was_not_added_is_one_sentence(key: int):
    with pytest.raises(InputError, match=f"frame {key} of the video is not among"):
        make_window(3, radius=1).around(key)


@pytest.mark.parametrize("key", [0, 3])
def test_going_back_is_one_sentence(key: int):
    window = make_window(6, radius=1)
    window.release(3)  # the next key frame needs frames 3, 4 and 5
    with pytest.raises(InputError, match="in order"):
        window.around(key)


@given(length=st.integers(1, 12), radius=st.integers(0, 4), causal=st.booleans())
def test_windows_are_there_without_a_copy(length: int, radius: int, causal: bool):
    window = FrameWindow(radius, causal)
    for key in range(length):
        while window.end < min(key + window.lookahead + 1, length):
            window.add(make_frame(window.end))
        in_time = window.around(key)
        stored = window.as_stored(in_time)
        assert sorted(stored) == in_time
        for name in ("feature", "embedding", "flow_neighbor"):
            maps = window.maps(name, stored)
            assert maps.flatten().tolist() == stored
            assert maps.data_ptr() == window.maps(name, stored).data_ptr()
        window.release(key)


def test_window_with_gaps_is_in_order_of_time():
    window = make_window(5, radius=1, stride=2)
    assert window.as_stored(window.around(0)) == [0, 0, 2]
    assert window.as_stored(window.around(2)) == [0, 2, 4]


def test_maps_are_channels_last():
    window = FrameWindow(radius=1)
    maps = (torch.randn(4, 3, 5), torch.randn(6, 3, 5), torch.randn(2, 7, 9), torch.randn(2, 7, 9))
    for _ in range(3):
        window.add(FrameEncoding(*maps, image_size=(48, 80)))
    for numbers in ([1], [0, 2]):
        flow_keys = window.maps("flow_key", numbers)
        assert torch.equal(flow_keys[-1], maps[2])
        assert flow_keys.is_contiguous(memory_format=torch.channels_last)
    assert window.image_size == (48, 80)
    for numbers in ([0, 1, 2], [2, 0]):
        feature = window.maps("feature", numbers)
        assert torch.equal(feature[1], maps[0])
        assert feature.is_contiguous(memory_format=torch.channels_last)


def test_flow_keys_of_past_key_frames_are_forgotten():
    window = make_window(5, radius=2)
    window.release(2)
    assert window.maps("flow_key", [3, 4]).flatten().tolist() == [3, 4]
    assert window.maps("flow_neighbor", [1, 2]).flatten().tolist() == [1, 2]
    with pytest.raises(InputError, match="frame 2 of the video is not among the frames 3 to 4"):
        window.maps("flow_key", [2])


def test_frames_that_nobody_forgets_are_all_kept():
    window = make_window(30, radius=1)
    assert numbers_of(window, range(30)) == list(range(30))
