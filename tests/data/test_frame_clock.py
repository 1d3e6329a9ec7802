"""Times made of time stamps, good and bad ones."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.data.frame_clock import FrameClock


@pytest.mark.parametrize(
    ("stamps", "seconds"),
    [
        ([7.0, 7.1, 7.5], [0, 0.1, 0.5]),
        ([None, None, None], [0, 0.2, 0.4]),
        ([3.0, None, 3.3, None], [0, 0.2, 0.3, 0.5]),
        # A late start of the time stamps counts from where the video is by then.
        ([None, 9.0, 9.1], [0, 0.2, 0.3]),
        # Small steps back, of frames in the wrong order, do not move what follows.
        ([0.0, 0.5, 0.4, 0.5, 0.6], [0, 0.5, 0.501, 0.502, 0.6]),
        # A clock that was set back by more than a second goes on from here.
        ([50.0, 52.0, 3.0, 3.1], [0, 2, 2.2, 2.3]),
    ],
)
def test_seconds_start_at_zero_and_follow_the_time_stamps(
    stamps: list[float | None], seconds: list[float]
):
    clock = FrameClock(fps=5)
    assert [clock(stamp) for stamp in stamps] == pytest.approx(seconds)


@given(
    stamps=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=2, max_size=20),
    fps=st.floats(0.01, 999),
)
def test_seconds_increase_whatever_the_time_stamps(stamps: list[float | None], fps: float):
    clock = FrameClock(fps)
    seconds = [clock(stamp) for stamp in stamps]
    assert seconds[0] == pytest.approx(0, abs=1e-3)
    assert all(later > earlier for earlier, later in itertools.pairwise(seconds))
