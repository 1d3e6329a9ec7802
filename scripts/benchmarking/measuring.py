"""Time and memory of functions, on the CPU or a GPU."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch
from tqdm import tqdm

from fgfa.errors import InputError
from fgfa.freed_memory import FreedMemory

Run = Callable[[], object]
Result = TypeVar("Result")
# Several times what the last cache holds.
_COPY_BYTES = 2**27


def chosen_device(name: str) -> torch.device:
    """Returns the device of a command line's `--device`.

    Raises:
        InputError: there is no such device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU; leave it out to measure the CPU")
    return torch.device(name)


def time_alternately(
    runs: Mapping[str, Run],
    threads: Sequence[int],
    repeat: int,
    device: torch.device,
    title: str,
) -> dict[str, dict[int, list[float]]]:
    """Times functions in turns, one run each at a time, so that other load hits all alike.

    Args:
        runs: the functions by name; each should have run once before.
        threads: the numbers of threads for torch's operators, in turns too.
        repeat: how often each function runs with each number of threads.
        device: where the work is done; a GPU is timed by its own events.
        title: what the progress bar says.

    Returns:
        dict: seconds of each run, by name and number of threads.
    """
    seconds = {name: {count: [] for count in threads} for name in runs}
    with threads_restored():
        for _ in tqdm(range(repeat), desc=title, leave=False):
            for count in threads:
                torch.set_num_threads(count)
                for name, run in runs.items():
                    seconds[name][count].append(seconds_of(run, device))
    return seconds


def copy_run(device: torch.device) -> tuple[Run, int]:
    """Returns a function that copies memory too large for caches, and the bytes that it moves."""
    source = torch.ones(_COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source), 2 * _COPY_BYTES


def in_new_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Calls a function of a module in a process of its own; its arguments are pickled."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def in_process_for_memory(function: Callable[..., Result], *arguments: object) -> Result:
    """Calls a function in a process of its own, where freed memory is given back at once.

    There `peak_extra_bytes` sees what is alive, and not what the allocator keeps for later; but
    times would not be those of other programs.

    Args:
        function: a function of a module.
        arguments: its arguments, which are pickled.
    """
    with _environment(MALLOC_MMAP_THRESHOLD_="65536"):
        return in_new_process(function, *arguments)


def peak_extra_bytes(run: Run, device: torch.device) -> int | None:
    """Returns the most memory that a run holds beyond what is held before, its result included.

    On the CPU it is how far the peak of the resident set, which the kernel keeps and here sets
    back, rises over the resident set before the run: nothing that is written to escapes it.

    Args:
        run: runs once before, as a first run may make things that stay.
        device: where it works.

    Returns:
        int | None: None on systems other than Linux, where the peak cannot be set back.
    """
    run()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    if not sys.platform.startswith("linux"):
        return None
    FreedMemory().give_back()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_bytes("VmRSS")
    run()
    return _status_bytes("VmHWM") - before


def held_bytes(device: torch.device) -> tuple[int, int] | None:
    """Returns the memory that is held now, and the most that was held since the process began.

    Args:
        device: of a GPU it is the memory of tensors, on the CPU the resident set with all code.

    Returns:
        tuple[int, int] | None: None on systems other than Linux.
    """
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)
    if not sys.platform.startswith("linux"):
        return None
    return _status_bytes("VmRSS"), _status_bytes("VmHWM")


def _status_bytes(key: str) -> int:
    """Reads a line such as `VmRSS:  1234 kB`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


def seconds_of(run: Run, device: torch.device) -> float:
    """Returns the time of a run; a GPU measures it with its own events."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000
    start_time = time.perf_counter()
    run()
    return time.perf_counter() - start_time


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def threads_restored() -> Iterator[None]:
    """Sets the number of threads of torch's operators back in the end."""
    count = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(count)
