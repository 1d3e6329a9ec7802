"""Text files that may be compressed by gzip."""

import gzip
import io
import os
from pathlib import Path
from typing import TextIO

_MAGIC = b"\x1f\x8b"
# Detections are 3 to 10 times as large as their compressed file, a file made to fill memory 1000.
_MOST_GROWTH = 64
_ALWAYS_READ = 1 << 24  # bytes


def open_for_reading(path: str | os.PathLike[str]) -> TextIO:
    """Opens UTF-8 text, whatever the file is called; bytes that are none are replaced.

    A byte order mark, which programs of Windows put ahead of a text, is no part of it.

    Of a compressed file no more is read than 16 MB or 64 times its size.

    Raises:
        OSError: it cannot be read; so does reading where it holds more.
    """
    with open(path, "rb") as file:
        is_gzip = file.read(len(_MAGIC)) == _MAGIC
    if not is_gzip:
        return open(path, encoding="utf-8-sig", errors="replace")
    return io.TextIOWrapper(_BoundedGzip(path), encoding="utf-8-sig", errors="replace")


class _BoundedGzip(gzip.GzipFile):
    """Stops reading where a file grows too much."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "rb")
        self._limit = max(_ALWAYS_READ, _MOST_GROWTH * os.path.getsize(path))

    def read(self, size: int = -1) -> bytes:
        return self._checked(super().read(self._limit + 1 if size < 0 else size))

    def read1(self, size: int = -1) -> bytes:
        return self._checked(super().read1(size))

    def _checked(self, content: bytes) -> bytes:
        if self.tell() > self._limit:
            raise OSError(f"it holds more than {self._limit >> 20} MB, as no detections do")
        return content


def open_for_writing(path: str | os.PathLike[str]) -> TextIO:
    """Opens UTF-8 text for writing; the suffix .gz asks for compression."""
    is_gzip = Path(path).suffix == ".gz"
    return (gzip.open if is_gzip else open)(path, "wt", encoding="utf-8", newline="\n")
