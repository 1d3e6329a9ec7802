import threading
from collections.abc import Iterator

import pytest

from fgfa.data.read_ahead import read_ahead


@pytest.mark.parametrize("length", [0, 1, 20])
def test_items_come_in_order(length: int):
    assert list(read_ahead(iter(range(length)), count=3)) == list(range(length))


def test_a_few_items_are_read_before_they_are_asked_for():
    reads, third = [], threading.Event()

    def read() -> Iterator[int]:
        for number in range(100):
            reads.append(number)
            if number == 3:
                third.set()
            yield number

    items = read_ahead(read(), count=2)
    assert next(items) == 0
    # Two wait, and one is in the reader's hand.
    assert third.wait(10)
    assert reads == [0, 1, 2, 3]
    assert next(items) == 1
    items.close()


def test_an_error_comes_after_the_items_before_it():
    def read() -> Iterator[int]:
        yield from range(3)
        raise ValueError("broken")

    items = read_ahead(read())
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_reading_ends_with_the_iterator():
    items = read_ahead(iter(range(1000)), count=1)
    next(items)
    (thread,) = (t for t in threading.enumerate() if t.name == "read_ahead")
    items.close()
    thread.join(10)
    assert not thread.is_alive()
