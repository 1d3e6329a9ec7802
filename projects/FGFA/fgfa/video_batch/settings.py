"""What detections depend on. The results in a folder are all of the same settings."""

import contextlib
import fcntl
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.utils.file_io import PathManager

from fgfa.errors import InputError
from fgfa.files import atomic_write, make_folder, refuse_special

logger = logging.getLogger(__name__)

FILE_NAME = "settings.json"
_SECTIONS = ("MODEL", "INPUT", "TEST")
_WEIGHTS = ("MODEL.WEIGHTS", "MODEL.FLOW_NET.WEIGHTS")
_WITHOUT_EFFECT = {"MODEL.DEVICE", "TEST.FRAMES_PER_BATCH", *_WEIGHTS}
_MOST_SHOWN = 3


def settings_of(cfg: CfgNode, class_names: Sequence[str]) -> dict[str, Any]:
    """Plain values of all that detections depend on, by config key.

    Weights are told by their content: their file may be renamed.

    Raises:
        InputError: if there are no weights.
    """
    if not cfg.MODEL.WEIGHTS:
        raise InputError("MODEL.WEIGHTS is empty; name a checkpoint: --opts MODEL.WEIGHTS FILE")
    flat = {key: value for section in _SECTIONS for key, value in _flat(cfg[section], section)}
    settings = {key: value for key, value in flat.items() if key not in _WITHOUT_EFFECT}
    settings |= {key: _sha256(flat[key], key) for key in _WEIGHTS if flat[key]}
    settings["class_names"] = list(class_names)
    return json.loads(json.dumps(settings, default=str))  # as they are when read from a file


def fingerprint(settings: dict[str, Any]) -> str:
    """The same short text for the same settings only."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def claim_for(folder: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Writes settings.json to a folder, or compares it.

    Args:
        folder: of the results.
        settings: what `settings_of` gives.
        overwrite: replaces other settings.

    Raises:
        InputError: if the folder is for other settings.
    """
    path = folder / FILE_NAME
    if path.exists() and not overwrite:
        differences = _differences(_read(path), settings)
        if differences:
            shown = ", ".join(differences[:_MOST_SHOWN])
            more = len(differences) - _MOST_SHOWN
            raise InputError(
                f"{folder} has results of other settings ({shown}"
                f"{f', and {more} more' if more > 0 else ''}); write to another folder, or give "
                "--overwrite to replace them"
            )
        return
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")


@contextlib.contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Keeps a second run out of a folder, which is made; a killed run keeps nobody out.

    Raises:
        InputError: if another run is at work there.
    """
    make_folder(folder)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another run is writing to {folder}; wait for its end, or write elsewhere"
            ) from error
        except OSError as error:  # some network file systems have no locks
            logger.warning("%s cannot be locked (%s); start no second run there", folder, error)
        yield


def _flat(node: CfgNode, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        key = f"{prefix}.{name}"
        if isinstance(value, CfgNode):
            yield from _flat(value, key)
        else:
            yield key, value


def _sha256(path: str, key: str) -> str:
    digest = hashlib.sha256()
    try:
        # What follows "?" are options of Detectron2's checkpointer.
        local = PathManager.get_local_path(path.partition("?")[0])
        refuse_special(local)
        with open(local, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"checkpoint {path} ({key}) cannot be read ({error})") from error
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} is broken ({error}); write to another folder") from error


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    return [
        f"{key} is {there.get(key, 'unset')} there and {here.get(key, 'unset')} here"
        for key in sorted({**there, **here})
        if there.get(key) != here.get(key)
    ]
