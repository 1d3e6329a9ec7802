"""Giving freed memory back to the system."""

import subprocess
import sys

import pytest

from fgfa import freed_memory
from fgfa.freed_memory import FreedMemory

# Frees 400 MB below a block that stays, in a process of its own.
_PROGRAM = """
import numpy as np
from fgfa.freed_memory import FreedMemory, _resident_bytes

np.ones(2**21)  # now the C library takes smaller blocks from its heap
blocks = [np.ones(2**20) for _ in range(50)]
stays = np.ones(2**17)
del blocks
kept = _resident_bytes()
FreedMemory().give_back()
print((kept - _resident_bytes()) // 2**20)
"""


@pytest.mark.skipif(freed_memory._malloc_trim() is None, reason="only glibc gives memory back")
def test_memory_goes_back():
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) > 300


def test_it_is_given_back_only_where_much_was_added(monkeypatch: pytest.MonkeyPatch):
    trims = []
    resident = iter([500, 400, 500, 529, 410, 420])  # MB before and behind each, or before alone
    monkeypatch.setattr(freed_memory, "_malloc_trim", lambda: trims.append)
    monkeypatch.setattr(freed_memory, "_resident_bytes", lambda: next(resident) * 2**20)
    freed = FreedMemory()
    done = []
    for _ in range(4):
        freed.give_back()
        done.append(len(trims))
    assert done == [1, 1, 2, 2]


def test_other_systems_keep_it(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(freed_memory, "_STATM", tmp_path / "none")
    FreedMemory().give_back()
