"""What is being done now, on the terminal."""

import shutil
import sys
import time

_EVERY = 60  # seconds between lines where the output is no terminal


class StatusLine:
    """A line for each step, below it how far it is: in place on a terminal, else once a minute."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._next = 0.0

    def start(self, title: str) -> None:
        """Begins a step."""
        print(title, flush=True)
        self._next = time.monotonic() + _EVERY

    def show(self, progress: str) -> None:
        """Says how far the step is."""
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{'      ' + progress:.{width}}", end="", flush=True)
        elif time.monotonic() >= self._next:
            print(f"      {progress}", flush=True)
            self._next = time.monotonic() + _EVERY

    def end(self, seconds: float) -> None:
        """Ends a step that took so long."""
        erase = "\r\033[K" if self._is_terminal else ""
        print(f"{erase}      {seconds:.0f} s", flush=True)
