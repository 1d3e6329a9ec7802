"""The folders below a folder, through symbolic links."""

import os
from collections.abc import Iterator
from pathlib import Path

from fgfa.errors import InputError


def walk_folders(
    folder: Path, above: frozenset[str] = frozenset()
) -> Iterator[tuple[Path, list[str]]]:
    """Yields a folder and all below it, each with the names of its files, in order of the names.

    Links to folders are followed. One that leads back to a folder it lies in ends there: what is in
    that has been seen.

    Args:
        folder: where to begin.
        above: real paths of the folders that it lies in, which are not entered.

    Raises:
        InputError: a folder cannot be read, or a link leads nowhere, so that what it stands for
            would be missed.
    """
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"{folder}: the folder cannot be read ({error.strerror}); check path and permissions."
        ) from error
    for entry in entries:
        if entry.is_symlink() and not os.path.exists(entry.path):
            raise InputError(
                f"{entry.path}: the link leads nowhere; make what it leads to available, or remove "
                "it."
            )
    yield folder, [entry.name for entry in entries if not entry.is_dir()]
    for entry in entries:
        if entry.is_dir():
            yield from walk_folders(folder / entry.name, above | {real})
