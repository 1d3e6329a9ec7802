import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.data.frame_choice import entering_frames, spread_frames, training_neighbors
from fgfa.errors import InputError

KEY_FRAMES = st.integers(1, 60).flatmap(
    lambda length: st.tuples(st.integers(0, length - 1), st.just(length))
)
RADII = st.integers(0, 12)


@given(KEY_FRAMES, RADII, st.data(), st.integers(0, 1000))
def test_neighbors_are_near_and_in_the_video(key_frame, radius, data, seed):
    frame_index, length = key_frame
    count = data.draw(st.integers(0, 2 * radius + 1))
    rng = np.random.default_rng(seed)
    neighbors = training_neighbors(frame_index, length, radius, count, rng)
    assert len(neighbors) == count
    assert all(0 <= n < length and abs(n - frame_index) <= radius for n in neighbors)


@given(st.integers(0, 1000))
def test_offsets_are_drawn_without_replacement(seed):
    neighbors = training_neighbors(50, 100, 3, 7, np.random.default_rng(seed))
    assert sorted(neighbors) == list(range(47, 54))


def test_every_offset_can_be_drawn():
    rng = np.random.default_rng(0)
    drawn = [tuple(training_neighbors(50, 100, 2, 2, rng)) for _ in range(500)]
    assert len(set(drawn)) == 5 * 4


def test_neighbors_beyond_the_ends_are_clamped():
    assert sorted(training_neighbors(0, 100, 2, 5, np.random.default_rng(0))) == [0, 0, 0, 1, 2]
    assert sorted(training_neighbors(99, 100, 1, 3, np.random.default_rng(0))) == [98, 99, 99]


def test_still_is_its_own_neighbor():
    assert training_neighbors(0, 1, 9, 2, np.random.default_rng(0)) == [0, 0]


def test_more_neighbors_than_offsets():
    with pytest.raises(InputError, match=r"4 different neighbors.*the 3 offsets of radius 1"):
        training_neighbors(5, 10, 1, 4, np.random.default_rng(0))


def test_distances_are_drawn_by_their_weights():
    rng = np.random.default_rng(0)
    drawn = [training_neighbors(50, 100, 3, 1, rng, [1, 0, 4, 3])[0] - 50 for _ in range(4000)]
    offsets, counts = np.unique(drawn, return_counts=True)
    assert offsets.tolist() == [-3, -2, 0, 2, 3]
    np.testing.assert_allclose(counts / 4000 * 16, [3, 4, 2, 4, 3], atol=0.5)


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        ([1, 1], "each of the 3 distances"),
        ([1, 1, 1, 1], "each of the 3 distances"),
        ([1, -1, 1], "a number from 0"),
        ([1, float("nan"), 1], "a number from 0"),
        ([1, 1, 0], "the 3 offsets"),
        ([0, 0, 0], "the 0 offsets"),
    ],
)
def test_wrong_weights_are_one_sentence(weights, fault):
    with pytest.raises(InputError, match=rf"{fault}.*MODEL\.FGFA\.TRAIN") as caught:
        training_neighbors(5, 10, 2, 4, np.random.default_rng(0), weights)
    assert "TRAIN_OFFSET_WEIGHTS" in str(caught.value)


@given(st.integers(1, 60), RADII)
def test_each_frame_enters_once_and_no_later_than_its_window(length, lookahead):
    entered = []
    for frame_index in range(length):
        entered += entering_frames(frame_index, length, lookahead)
        assert min(frame_index + lookahead, length - 1) == entered[-1]
    assert entered == list(range(length))


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [(10, 4, [0, 3, 6, 9]), (2, 4, [0, 1]), (1, 4, [0]), (7, 1, [0]), (0, 3, []), (-1, 3, [])],
)
def test_frames_are_spread_from_the_first_to_the_last(length: int, count: int, expected: list[int]):
    assert spread_frames(length, count) == expected
