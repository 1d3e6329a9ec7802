"""Text files that may be compressed by gzip."""

import gzip
import os
from pathlib import Path
from typing import TextIO

_MAGIC = b"\x1f\x8b"


def open_for_reading(path: str | os.PathLike[str]) -> TextIO:
    """Opens UTF-8 text, whatever the file is called; bytes that are none are replaced."""
    with open(path, "rb") as file:
        is_gzip = file.read(len(_MAGIC)) == _MAGIC
    return (gzip.open if is_gzip else open)(path, "rt", encoding="utf-8", errors="replace")


def open_for_writing(path: str | os.PathLike[str]) -> TextIO:
    """Opens UTF-8 text for writing; the suffix .gz asks for compression."""
    is_gzip = Path(path).suffix == ".gz"
    return (gzip.open if is_gzip else open)(path, "wt", encoding="utf-8", newline="\n")
