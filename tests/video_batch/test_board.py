"""What processes tell each other; threads stand for them here."""

import threading
import time
from datetime import timedelta

import pytest
import torch.distributed as dist

from fgfa.errors import InputError
from fgfa.video_batch import board as board_module
from fgfa.video_batch.board import Board


@pytest.fixture
def boards() -> list[Board]:
    """The boards of three processes."""
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    clients = [dist.TCPStore("127.0.0.1", server.port, is_master=False) for _ in range(2)]
    return [Board(store, rank, 3) for rank, store in enumerate([server, *clients])]


def test_each_ticket_is_given_once(boards: list[Board]):
    given: list[int] = []
    threads = [
        threading.Thread(target=lambda board=board: given.extend(board.tickets(100)))
        for board in boards
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(100))
    assert list(boards[0].tickets(100)) == []


def test_a_ticket_is_drawn_when_the_last_one_is_worked_off(boards: list[Board]):
    slow, fast = boards[0].tickets(4), boards[1].tickets(4)
    assert [next(slow), *fast, *slow] == [0, 1, 2, 3]


def test_all_get_the_value_of_the_main_process(boards: list[Board]):
    values = [board.share({"rank": rank}) for rank, board in enumerate(boards)]
    assert values == [{"rank": 0}] * 3


def test_counters_are_shared(boards: list[Board]):
    assert boards[1].read("frames") == 0
    boards[1].add("frames", 5)
    assert boards[2].add("frames", -2) == 3
    assert boards[0].read("frames") == 3


def test_failures_come_once_and_in_order(boards: list[Board]):
    boards[1].note_failure("a", "it is broken")
    boards[2].note_failure("b", "so is this")
    assert boards[0].failures(0) == [("a", "it is broken"), ("b", "so is this")]
    assert boards[0].failures(1) == [("b", "so is this")]
    assert boards[0].failures(2) == []


def test_main_process_waits_for_all(boards: list[Board]):
    def work() -> None:
        time.sleep(0.5)
        for board in boards[1:]:
            board.leave()

    boards[0].leave()
    start = time.monotonic()
    thread = threading.Thread(target=work)
    thread.start()
    assert boards[0].wait_for_all(lambda: 0)
    assert time.monotonic() - start >= 0.5
    thread.join()


def test_lost_processes_are_not_waited_for_but_slow_ones_are(
    boards: list[Board], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(board_module, "SILENCE", timedelta(seconds=0.5))
    seconds = iter(range(4))
    start = time.monotonic()
    assert not boards[0].wait_for_all(lambda: next(seconds, None))
    assert time.monotonic() - start > 4 * 0.3 + 0.5


def test_loss_of_the_main_process_is_one_sentence():
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    client = dist.TCPStore("127.0.0.1", server.port, is_master=False)
    board = Board(client, 1, 2)
    board.add("frames", 1)
    del server
    with pytest.raises(InputError, match="the main process of the run is gone"):
        board.add("frames", 1)


def test_a_process_alone_has_a_board_of_its_own():
    board = Board.join()
    assert board.is_main
    assert board.share([1]) == [1]
    assert list(board.tickets(3)) == [0, 1, 2]
    board.leave()
    assert board.wait_for_all(lambda: 0)
    assert list(Board.join().tickets(1)) == [0]
