"""Files and folders that are complete or absent, and files that end when they are read."""

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fgfa.errors import InputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# The names that `atomic_write` makes, with a process id before "part".
_TEMPORARY = re.compile(r"\..+\.[0-9]+\.part(\.[^.]+)?")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to, and renames it to `path` at the end.

    Parent folders are made. Where the block raises, the temporary file is removed and a former
    file at `path` stays as it was.

    Args:
        path: the file to write. The temporary name keeps its suffix, by which many writers choose
            their format.

    Raises:
        InputError: there is no room for it, or no file can be there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    with _errors_of(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives an empty folder beside `path` to fill, and renames it to `path` at the end.

    Parent folders are made. Where the block raises, nothing is left.

    Args:
        path: the folder, which is not there yet.

    Raises:
        InputError: there is no room for it, or no folder can be there.
    """
    path = Path(path)
    beginning = path.with_name(f".{path.name}.")
    with _errors_of(path, beginning):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=beginning.name, dir=path.parent) as temporary:
            part = Path(temporary) / path.name
            part.mkdir()
            yield part
            os.replace(part, path)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Makes a folder with its parents, where it is not there.

    Raises:
        InputError: none can be there.
    """
    path = Path(path)
    with _errors_of(path, path):
        path.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _errors_of(path: Path, temporary: Path) -> Iterator[None]:
    """Makes sentences of errors about `path`, its parents, and what begins like `temporary`."""
    try:
        yield
    except OSError as error:
        where, reason, advice = str(error.filename), error.strerror, "choose another place"
        if error.errno in _NO_ROOM:
            advice = "make room or choose another place, and run the same again"
        elif where in map(str, path.parents):
            reason = f"{error.strerror}: {where}"
        elif not where.startswith(str(temporary)):  # of another file
            raise
        raise InputError(
            f"{path} cannot be written: {reason}; {advice}. A former file is as it was"
        ) from error


def refuse_special(path: str | os.PathLike[str]) -> None:
    """Refuses a device or a pipe, such as one that a link of a data set leads to.

    Reading it may have no end, or may never begin. What is missing, or a folder, is left to whoever
    opens it.

    Raises:
        OSError: with a `strerror` that says so.
    """
    if not os.path.isfile(path) and not os.path.isdir(path) and os.path.exists(path):
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", os.fspath(path))


def remove_left_over(folder: str | os.PathLike[str], below: bool = True) -> None:
    """Removes the temporary files of programs that were killed.

    No other program may be writing there.

    Args:
        folder: where they are.
        below: whether in all folders below it, too.
    """
    for path in Path(folder).glob("**/.*.part*" if below else ".*.part*"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink()
