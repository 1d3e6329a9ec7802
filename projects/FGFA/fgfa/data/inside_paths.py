"""Paths that the files of a data set name."""

import os
from pathlib import PurePath


def is_inside(path: str) -> bool:
    """Whether a path stays in the folder that it is relative to, and is one that a file can have.

    Neither "/etc/passwd" nor "../other/a.jpg" does. Symbolic links are not looked at: no list can
    make one, and those in the folder are the user's, who may keep images on another disk.
    """
    parts = PurePath(path).parts
    return bool(parts) and not PurePath(path).anchor and ".." not in parts and _can_be_file(path)


def _can_be_file(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False
