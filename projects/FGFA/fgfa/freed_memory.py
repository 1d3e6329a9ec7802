"""Giving memory that was freed back to the system."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

# The system takes its time to hand memory out again, so that giving back less is not worth it.
_WORTH_IT = 128 * 2**20
_STATM = Path("/proc/self/statm")


class FreedMemory:
    """Memory that the C library keeps when it was freed, for when it is asked for again.

    Where large tensors of many sizes come and go, it keeps several times what they take at once.
    Only glibc on Linux can be told to give it back; elsewhere nothing happens.
    """

    def __init__(self) -> None:
        self._trim = _malloc_trim()
        self._resident = 0  # bytes in memory behind the last time

    def give_back(self) -> None:
        """Gives it back, where the process has grown enough since the last time for it to pay."""
        if self._trim is not None and _resident_bytes() - self._resident > _WORTH_IT:
            self._trim(0)
            self._resident = _resident_bytes()


def _malloc_trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if _STATM.exists() else None


def _resident_bytes() -> int:
    return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
