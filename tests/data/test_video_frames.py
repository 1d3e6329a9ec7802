import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.data.video_frames import VideoFrames


def test_numbered_files():
    frames = VideoFrames("clip/", range(364, 367), suffix=".JPEG")
    assert list(frames) == ["clip/000364.JPEG", "clip/000365.JPEG", "clip/000366.JPEG"]
    assert len(frames) == 3


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        ([f"a1/{i:06d}.JPEG" for i in range(7, 60)], range(7, 60)),
        ([f"frame_{i}.jpg" for i in range(8, 12)], range(8, 12)),
        ([f"{i:04d}.jp2" for i in range(0, 50, 5)], range(0, 50, 5)),
        (["v/000289.JPEG"], range(289, 290)),
    ],
    ids=["padded", "unpadded", "every fifth", "still"],
)
def test_numbering_of_explicit_names_is_found(names, numbers):
    frames = VideoFrames.from_names(names)
    assert list(frames) == names
    assert frames.middles == numbers


@pytest.mark.parametrize(
    "names",
    [["v/1.jpg", "v/2.jpg", "v/4.jpg"], ["v/b.jpg", "v/a.jpg"], ["v/1.jpg", "w/2.jpg"], []],
    ids=["gap", "no numbers", "two folders", "none"],
)
def test_names_without_numbering_stay_as_they_are(names):
    assert list(VideoFrames.from_names(names)) == names


@given(st.lists(st.text(alphabet="ab/01.", max_size=6), max_size=4))
def test_any_names_come_back(names):
    assert list(VideoFrames.from_names(names)) == names


def test_pickle_of_a_long_numbered_video_is_small():
    frames = VideoFrames.from_names([f"folder/{i:06d}.JPEG" for i in range(10_000)])
    data = pickle.dumps(frames)
    assert len(data) < 250
    assert pickle.loads(data) == frames


def test_index_past_the_end():
    with pytest.raises(IndexError):
        VideoFrames("clip/", range(3))[3]
