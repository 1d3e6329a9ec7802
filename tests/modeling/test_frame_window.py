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


def number_of(frame: FrameEncoding) -> int:
    return int(frame.feature.item())


@given(
    length=st.integers(1, 12),
    radius=st.integers(0, 4),
    causal=st.booleans(),
)
def test_window_is_that_of_a_list_of_all_frames(length: int, radius: int, causal: bool):
    window = FrameWindow(radius, causal)
    ahead = 0 if causal else radius
    for key in range(length):
        while window.end < min(key + ahead + 1, length):
            window.add(make_frame(window.end))
        frames, key_index, positions = window.around(key)
        wanted = [min(max(i, 0), length - 1) for i in range(key - radius, key + ahead + 1)]
        assert number_of(frames[key_index]) == key
        assert [number_of(frames[p]) for p in positions] == wanted
        assert [number_of(frame) for frame in frames] == sorted(set(wanted))


@given(radius=st.integers(0, 4), causal=st.booleans())
def test_memory_does_not_grow_with_the_video(radius: int, causal: bool):
    window = FrameWindow(radius, causal)
    for number in range(50):
        window.add(make_frame(number))
        if number >= window.lookahead:
            window.around(number - window.lookahead)
            assert len(window._frames) <= radius + window.lookahead + 1


def test_causal_window_does_not_look_ahead():
    window = FrameWindow(2, causal=True)
    for number in range(5):
        window.add(make_frame(number))
    frames, _, positions = window.around(2)
    assert [number_of(frames[p]) for p in positions] == [0, 1, 2]


def test_window_at_one_key_frame_twice_is_the_same():
    window = FrameWindow(1)
    for number in range(4):
        window.add(make_frame(number))
    assert window.around(2) == window.around(2)


@pytest.mark.parametrize("key", [-1, 3])
def test_frame_that_was_not_added_is_one_sentence(key: int):
    window = FrameWindow(1)
    for number in range(3):
        window.add(make_frame(number))
    with pytest.raises(InputError, match=f"frame {key} of the video is not in the window"):
        window.around(key)


@pytest.mark.parametrize("key", [0, 3])
def test_going_back_is_one_sentence(key: int):
    window = FrameWindow(1)
    for number in range(6):
        window.add(make_frame(number))
    window.around(4)  # forgets frames 0 to 2
    with pytest.raises(InputError, match=r"in order|was forgotten"):
        window.around(key)
