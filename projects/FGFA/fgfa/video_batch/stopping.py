"""The end of a program that has started others."""

import contextlib
import multiprocessing
from collections.abc import Iterator

_PATIENCE = 20.0  # seconds


@contextlib.contextmanager
def no_process_left() -> Iterator[None]:
    """Stops the processes that the block has started and, where it is interrupted, left running.

    They are told so by SIGTERM, and killed if they do not end.
    """
    try:
        yield
    finally:
        processes = multiprocessing.active_children()
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(_PATIENCE)
            process.kill()
