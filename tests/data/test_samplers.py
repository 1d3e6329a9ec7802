import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.data.samplers import TrainingBatchSampler, VideoBatchSampler, VideoInferenceSampler


def video_ids(lengths):
    return [str(video) for video, length in enumerate(lengths) for _ in range(length)]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(1, 8))
def test_ranks_share_whole_videos(lengths, world_size):
    ids = video_ids(lengths)
    shares = [list(VideoInferenceSampler(ids, rank, world_size)) for rank in range(world_size)]
    assert [index for share in shares for index in share] == list(range(len(ids)))
    ranks_of = [{rank for rank, s in enumerate(shares) for i in s if ids[i] == v} for v in set(ids)]
    assert all(len(ranks) == 1 for ranks in ranks_of)
    assert max(map(len, shares)) <= len(ids) / world_size + max(lengths)


@pytest.mark.parametrize(
    ("lengths", "shares"),
    [([100, 25, 25, 25, 25], [100, 100]), ([10, 60, 30], [70, 30]), ([30, 60, 10], [30, 70])],
)
def test_shares_are_balanced_by_frames_not_videos(lengths, shares):
    ids = video_ids(lengths)
    assert [len(VideoInferenceSampler(ids, rank, 2)) for rank in range(2)] == shares


def test_rank_may_have_nothing():
    shares = [list(VideoInferenceSampler(["a"] * 5, rank, 3)) for rank in range(3)]
    assert sorted(shares) == [[], [], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("ids", [["a", "a", "b"]])
def test_rank_and_world_size_are_those_of_detectron2(ids, monkeypatch):
    assert list(VideoInferenceSampler(ids)) == [0, 1, 2]
    monkeypatch.setattr("fgfa.data.samplers.comm.get_rank", lambda: 1)
    monkeypatch.setattr("fgfa.data.samplers.comm.get_world_size", lambda: 2)
    assert list(VideoInferenceSampler(ids)) == [2]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 5))
def test_batches_are_full_and_of_one_video(lengths, batch_size):
    ids = video_ids(lengths)
    batches = list(VideoBatchSampler(range(len(ids)), ids, batch_size))
    assert len(VideoBatchSampler(range(len(ids)), ids, batch_size)) == len(batches)
    assert [index for batch in batches for index in batch] == list(range(len(ids)))
    for batch in batches:
        (video,) = {ids[index] for index in batch}
        is_last = batch[-1] == len(ids) - 1 or ids[batch[-1] + 1] != video
        assert len(batch) == batch_size or (is_last and len(batch) < batch_size)


def first_batches(count, order, is_wide, batch_size, **options):
    return list(
        itertools.islice(TrainingBatchSampler(order, is_wide, batch_size, **options), count)
    )


@given(
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.integers(1, 4),
    st.integers(0, 20),
    st.data(),
)
def test_training_batches_are_of_one_kind_and_can_be_gone_on_from(wide, size, first, data):
    order = data.draw(st.lists(st.integers(0, len(wide) - 1), max_size=60))
    batches = first_batches(100, order, wide, size)
    assert all(len(batch) == size for batch in batches)
    assert all(len({wide[index] for index, _ in batch}) == 1 for batch in batches)
    for kind in (False, True):
        items = [item for batch in batches for item in batch if wide[item[0]] == kind]
        expected = [(index, n) for n, index in enumerate(order) if wide[index] == kind]
        assert items == expected[: len(expected) // size * size]
    assert first_batches(100, order, wide, size, first_batch=first) == batches[first:]


def test_numbers_of_frames_differ_between_ranks():
    batches = [
        first_batches(2, [5, 6, 7, 8], [False] * 9, 2, rank=rank, world_size=2) for rank in range(2)
    ]
    assert batches[0] == [[(5, 0), (6, 2)], [(7, 4), (8, 6)]]
    assert batches[1] == [[(5, 1), (6, 3)], [(7, 5), (8, 7)]]
