"""The checkpoints that come with fgfa, by name.

Wherever Detectron2 takes a path, `fgfa://vid_mini/fgfa_rfcn_lite0` names the file
`checkpoints/vid_mini/fgfa_rfcn_lite0.pth` of this package. The model card beside it, of the same
name in `.md`, states its SHA-256. `scripts/publish_checkpoint.py` writes both.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from detectron2.utils.file_io import PathHandler, PathManager

from fgfa.errors import InputError

PREFIX = "fgfa://"
FOLDER = Path(__file__).parent / "checkpoints"


def names() -> list[str]:
    """The names of all checkpoints that are there, sorted."""
    files = (path.relative_to(FOLDER).with_suffix("") for path in FOLDER.rglob("*.pth"))
    return sorted(f"{PREFIX}{file.as_posix()}" for file in files)


def find_checkpoint(name: str) -> Path:
    """The file of a checkpoint, which is what its model card says that it is.

    Args:
        name: one of `names`.

    Raises:
        InputError: if there is none of that name, or the file is damaged.
    """
    if name not in names():
        raise InputError(
            f"checkpoint {name} is unknown; those that come with fgfa are: "
            f"{', '.join(names()) or 'none'}"
        )
    path = FOLDER / f"{name.removeprefix(PREFIX)}.pth"
    card = path.with_suffix(".md")
    stated = re.search(r"\b[0-9a-f]{64}\b", card.read_text("utf-8")) if card.exists() else None
    if stated is None:
        raise InputError(f"{card}, which states the SHA-256 of {path.name}, is missing or broken")
    if hashlib.sha256(path.read_bytes()).hexdigest() != stated[0]:
        raise InputError(
            f"checkpoint {name} is damaged: the SHA-256 of {path} is not that of {card.name}; "
            "fetch the file again, with 'git lfs pull' where it is a pointer of git LFS"
        )
    return path


class _ShippedCheckpoints(PathHandler):
    """Makes a name a path that can be read."""

    def _get_supported_prefixes(self) -> list[str]:
        return [PREFIX]

    def _get_local_path(self, path: str, force: bool = False, **kwargs: Any) -> str:
        return str(find_checkpoint(path))

    def _isfile(self, path: str, **kwargs: Any) -> bool:
        return path in names()

    def _open(self, path: str, mode: str = "r", buffering: int = -1, **kwargs: Any) -> Any:
        return PathManager.open(str(find_checkpoint(path)), mode, buffering, **kwargs)


PathManager.register_handler(_ShippedCheckpoints())
