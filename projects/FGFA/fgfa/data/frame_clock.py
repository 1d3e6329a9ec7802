"""Times of frames that can be relied on, from time stamps that cannot."""

# A time stamp that lies further back than this, in seconds, is one of a clock that was set anew.
_SET_BACK = 1.0
# The least time between two frames, in seconds.
_TICK = 0.001


class FrameClock:
    """Gives frames the seconds since the first one, which increase from frame to frame.

    A frame without a time stamp comes one frame period after the one before, as does the first
    after the time stamps went back by more than a second, as in streams that were joined. One that
    does not increase otherwise comes a thousandth of a second after the one before.
    """

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps
        self._now = -self._period
        self._zero: float | None = None  # the time stamp of second 0

    def __call__(self, stamp: float | None) -> float:
        """The seconds of the next frame.

        Args:
            stamp: its time stamp in seconds from anywhere, or None.
        """
        expected = self._now + self._period
        if stamp is None:
            self._now = expected
            return self._now
        if self._zero is None or stamp - self._zero < self._now - _SET_BACK:
            self._zero = stamp - expected
        self._now = max(stamp - self._zero, self._now + _TICK)
        return self._now
