"""The window of cached frames, against a plain list of all frames."""

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


@given(
    length=st.integers(1, 12),
    radius=st.integers(0, 4),
    causal=st.booleans(),
    stride=st.integers(1, 3),
    ahead=st.integers(0, 5),
)
def test_window_is_that_of_a_list_of_all_frames(
    length: int, radius: int, causal: bool, stride: int, ahead: int
):
    window = FrameWindow(radius, causal, stride)
    lookahead = 0 if causal else radius * stride
    assert window.lookahead == lookahead
    for key in range(length):
        while window.end < min(key + lookahead + 1 + ahead, length):
            window.add(make_frame(window.end))
        in_time = window.around(key)
        wanted = range(key - radius * stride, key + lookahead + 1, stride)
        assert in_time == [min(max(i, 0), length - 1) for i in wanted]
        assert in_time[window.key_position] == key
        numbers = window.move_to(key)
        assert sorted(numbers) == in_time
        for name in ("feature", "embedding"):
            assert window.window_maps(name).flatten().tolist() == numbers
        for name in ("feature", "flow_neighbor"):
            at_hand = range(in_time[0], window.end)
            assert window.maps(name, at_hand).flatten().tolist() == list(at_hand)


@given(
    radius=st.integers(0, 4),
    causal=st.booleans(),
    stride=st.integers(1, 3),
    keys_at_once=st.integers(1, 3),
)
def test_memory_does_not_grow_with_the_video(
    radius: int, causal: bool, stride: int, keys_at_once: int
):
    window = FrameWindow(radius, causal, stride)
    reach = radius * stride + window.lookahead + 1
    for first in range(0, 50, keys_at_once):
        while window.end < first + keys_at_once + window.lookahead:
            window.add(make_frame(window.end))
        for key in range(first, first + keys_at_once):
            window.move_to(key)
            assert len(window) <= reach + keys_at_once - 1
            assert len(window.window_maps("feature").untyped_storage()) <= 4 * reach


@pytest.mark.parametrize("key", [-1, 3])
def test_frame_that_was_not_added_is_one_sentence(key: int):
    with pytest.raises(InputError, match=f"frame {key} of the video is not among"):
        make_window(3, radius=1).move_to(key)


def test_going_back_is_one_sentence():
    window = make_window(6, radius=1)
    window.move_to(4)
    with pytest.raises(InputError, match=r"frame 3 of the video .* 4 to 5 at hand; .* in order"):
        window.move_to(3)


@given(length=st.integers(1, 12), radius=st.integers(0, 4), causal=st.booleans())
def test_windows_are_there_without_a_copy(length: int, radius: int, causal: bool):
    window = FrameWindow(radius, causal)
    addresses = set()
    for key in range(length):
        while window.end < min(key + window.lookahead + 1, length):
            window.add(make_frame(window.end))
        window.move_to(key)
        addresses.add(window.window_maps("feature").data_ptr())
    assert len(addresses) == 1


@pytest.mark.parametrize("name", ["feature", "embedding", "flow_image", "flow_neighbor"])
def test_maps_of_frames_that_were_passed_are_not_changed(name: str):
    frames = [make_frame(number) for number in range(5)]
    window = FrameWindow(radius=0)
    for key, frame in enumerate(frames):
        window.add(frame)
        window.move_to(key)
    assert [getattr(frame, name).item() for frame in frames] == [0, 1, 2, 3, 4]


def test_maps_are_channels_last():
    window = FrameWindow(radius=1)
    maps = (torch.randn(4, 3, 5), torch.randn(6, 3, 5), torch.randn(2, 7, 9), torch.randn(2, 7, 9))
    for _ in range(3):
        window.add(FrameEncoding(*maps, image_size=(48, 80)))
    window.move_to(1)
    for numbers in ([1], [0, 2]):
        flow_images = window.maps("flow_image", numbers)
        assert torch.equal(flow_images[-1], maps[2])
        assert flow_images.is_contiguous(memory_format=torch.channels_last)
    assert window.image_size == (48, 80)
    for numbers in ([0, 1, 2], [2, 0]):
        feature = window.maps("feature", numbers)
        assert torch.equal(feature[1], maps[0])
        assert feature.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["feature", "flow_image", "flow_neighbor"])
def test_frames_that_the_window_left_are_forgotten(name: str):
    window = make_window(5, radius=1)
    window.move_to(3)
    assert window.maps(name, [2, 4]).flatten().tolist() == [2, 4]
    with pytest.raises(InputError, match="frame 1 of the video is not among the frames 2 to 4"):
        window.maps(name, [1])


def test_frames_that_nobody_forgets_are_all_kept():
    window = make_window(30, radius=1)
    assert window.maps("feature", range(30)).flatten().tolist() == list(range(30))
