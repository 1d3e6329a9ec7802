"""Reading in a thread of its own, while the reader's user computes."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.2  # in which the thread notices that nobody waits for it any more


def read_ahead(items: Iterable[Item], count: int = 4) -> Iterator[Item]:
    """Yields what `items` yields, and reads the next few meanwhile.

    Decoders and image files are read without Python's lock. An exception of `items` comes where it
    would have come without the thread. Reading begins with the first item that is asked for, and
    ends when the iterator is closed or forgotten.

    Args:
        items: is iterated over in the thread.
        count: items that are read ahead at most.
    """
    results: queue.Queue[tuple[str, object]] = queue.Queue(count)
    stopped = threading.Event()

    def put(kind: str, value: object = None) -> bool:
        while not stopped.is_set():
            try:
                results.put((kind, value), timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end")
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=read, daemon=True, name="read_ahead")
    thread.start()
    try:
        while True:
            kind, value = results.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
