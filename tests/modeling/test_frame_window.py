"""The window of cached frames, against a plain list of all frames."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgfa.errors import InputError
from fgfa.modeling import FrameEncoding, FrameWindow


def make_frame(number: int) -> FrameEncoding:
    value = torch.full((1, 1, 1), float(number))
    return FrameEncoding(value, value, value, image_size=(1, 1))


def make_window(count: int, **options: int) -> FrameWindow:
    window = FrameWindow(**options)
    for number in range(count):
        window.add(make_frame(number))
    return window


def number_of(frame: FrameEncoding) -> int:
    return int(frame.feature.item())


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
        window.forget_before(numbers[0])
        wanted = range(key - radius * stride, key + ahead + 1, stride)
        assert numbers == [min(max(i, 0), length - 1) for i in wanted]
        assert numbers[window.key_position] == key
        assert [number_of(window[number]) for number in numbers] == numbers


@given(radius=st.integers(0, 4), causal=st.booleans(), stride=st.integers(1, 3))
def test_memory_does_not_grow_with_the_video(radius: int, causal: bool, stride: int):
    window = FrameWindow(radius, causal, stride)
    for number in range(50):
        window.add(make_frame(number))
        if number >= window.lookahead:
            window.forget_before(window.around(number - window.lookahead)[0])
            assert len(window) <= radius * stride + window.lookahead + 1


@pytest.mark.parametrize("key", [-1, 3])
def test_frame_that_was_not_added_is_one_sentence(key: int):
    with pytest.raises(InputError, match=f"frame {key} of the video is not among"):
        make_window(3, radius=1).around(key)


@pytest.mark.parametrize("key", [0, 3])
def test_going_back_is_one_sentence(key: int):
    window = make_window(6, radius=1)
    window.forget_before(3)
    with pytest.raises(InputError, match="in order"):
        window.around(key)
