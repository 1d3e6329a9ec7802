"""Ctrl-C and SIGTERM, at a moment that suits."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals(contextlib.AbstractContextManager):
    """Turns the first Ctrl-C or SIGTERM into a `KeyboardInterrupt`, in the main thread.

    More of them do not disturb the end of the work, such as the closing of files.
    """

    def __init__(self) -> None:
        self._received = self._held = False

    def __enter__(self) -> "StopSignals":
        self._former = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Lets a block finish that must not be done by half, and interrupts behind it."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._received:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        is_first, self._received = not self._received, True
        if is_first and not self._held:
            raise KeyboardInterrupt
