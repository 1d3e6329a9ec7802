"""What the processes of a run tell each other.

A board is a handful of counters in the store that torch.distributed keeps in the first process.
Nothing on it makes a process wait for another that is at work, however long that takes: there is
no collective that could time out. Where there is one process, the board is its own.
"""

import contextlib
import json
import pickle
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import torch.distributed as dist
from detectron2.utils import comm
from torch.distributed.distributed_c10d import _get_default_store

from fgfa.errors import InputError

Shared = TypeVar("Shared")

# Time without a sign of life after which processes are taken for lost.
SILENCE = timedelta(minutes=30)
_POLL_SECONDS = 0.3


class Board:
    """Counters and messages of a run."""

    def __init__(self, store: dist.Store, rank: int, size: int) -> None:
        """
        Args:
            store: shared by the processes of the run, which have it for themselves.
            rank: number of this process among them; 0 is the main process.
            size: how many there are.
        """
        self._store = store
        self._rank = rank
        self._size = size

    @staticmethod
    def join() -> "Board":
        """The board of the process group, or of this process alone."""
        if not dist.is_initialized():
            return Board(dist.HashStore(), 0, 1)
        store = dist.PrefixStore("fgfa.video_batch", _get_default_store())
        return Board(store, comm.get_rank(), comm.get_world_size())

    @property
    def is_main(self) -> bool:
        return self._rank == 0

    def share(self, value: Shared | None) -> Shared:
        """Gives every process the value of the main process.

        Raises:
            InputError: if the main process is gone.
        """
        with _needs_main_process():
            if self.is_main:
                self._store.set("shared", pickle.dumps(value))
            return pickle.loads(self._store.get("shared"))

    def tickets(self, count: int) -> Iterator[int]:
        """Yields numbers from 0 to `count` - 1, each to one process, when it asks for more work."""
        while (ticket := self.add("tickets", 1) - 1) < count:
            yield ticket

    def add(self, counter: str, amount: int) -> int:
        """Adds to a counter, and gives its new value; counters start at 0.

        Raises:
            InputError: if the main process is gone.
        """
        with _needs_main_process():
            return self._store.add(counter, amount)

    def read(self, counter: str) -> int:
        """The value of a counter."""
        return self.add(counter, 0)

    def note_failure(self, name: str, reason: str) -> None:
        """Tells the main process of a video that cannot be detected in."""
        number = self.add("failures", 1)
        self._store.set(f"failure {number}", json.dumps([name, reason]))

    def failures(self, start: int) -> list[tuple[str, str]]:
        """Name and reason of failures, in order, without the first `start`."""
        numbers = range(start + 1, self.read("failures") + 1)
        return [tuple(json.loads(self._store.get(f"failure {number}"))) for number in numbers]

    def leave(self) -> None:
        """Tells that this process has done its work."""
        self.add("left", 1)

    def wait_for_all(self, state: Callable[[], object]) -> bool:
        """Waits until all processes have left, which the one that keeps the store must.

        Args:
            state: gives something that changes while any process is at work.

        Returns:
            False if processes seem lost: nothing changed for a long time.
        """
        last, since = None, time.monotonic()
        while self.read("left") < self._size:
            current = state()
            if current != last:
                last, since = current, time.monotonic()
            elif time.monotonic() - since > SILENCE.total_seconds():
                return False
            time.sleep(_POLL_SECONDS)
        return True


@contextlib.contextmanager
def _needs_main_process() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise InputError(
            "the main process of the run is gone; start the run again on all machines"
        ) from error
