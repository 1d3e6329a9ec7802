"""Annotation files of a data set, parsed once and kept as one file in the user's cache folder.

What is kept counts only as long as all files have the same content, which is read each time: this
takes a small part of the time of parsing. The folder is `fgfa` in `$XDG_CACHE_HOME`, by default
`~/.cache`, and can be removed at any time.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from detectron2.structures import BoxMode
from tqdm import tqdm

from fgfa.data.annotation_xml import FrameAnnotation, parse_annotation, read_content
from fgfa.errors import InputError
from fgfa.files import atomic_write

logger = logging.getLogger(__name__)

_VERSION = 1  # of what is kept; to be raised when parsing or its result changes
_MIN_FRAMES = 1000  # parsing fewer takes no time to speak of


def read_annotations(
    paths: Iterable[str], count: int, categories: Mapping[str, int], title: str
) -> list[FrameAnnotation]:
    """Reads annotation files, from the cache where it has them.

    Args:
        paths: the XML files, in the order of the data set. None is asked for before the one ahead
            of it is read, so that a list of more files than there are takes no memory.
        count: how many there are.
        categories: category id of each object name.
        title: what the progress bars call the files.

    Returns:
        One annotation a file, see `fgfa.data.annotation_xml.read_annotation`.

    Raises:
        InputError: a file is missing or malformed.
    """
    files = [(path, read_content(path)) for path in _progress(paths, f"reading {title}", count)]
    paths, contents = [path for path, _ in files], [content for _, content in files]
    if count < _MIN_FRAMES:
        return _parse(paths, contents, categories, title)
    wanted = f"{_VERSION} {sorted(categories.items())}"
    # One file a data set: an old state of its annotations is overwritten, not left behind.
    cached = cache_folder() / f"annotations_{_digest([wanted, *paths])}.json"
    digest = _digest(contents)
    annotations = _load(cached, digest)
    if annotations is None:
        annotations = _parse(paths, contents, categories, title)
        _save(cached, digest, annotations)
    return annotations


def cache_folder() -> Path:
    """Folder for what can be made again at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fgfa"


def _progress(items: Iterable, title: str, count: int) -> tqdm:
    return tqdm(items, desc=title, unit="frame", delay=1, total=count)


def _parse(
    paths: Sequence[str], contents: Sequence[bytes], categories: Mapping[str, int], title: str
) -> list[FrameAnnotation]:
    files = zip(paths, contents, strict=True)
    return [
        parse_annotation(path, content, categories)
        for path, content in _progress(files, f"parsing {title}", len(paths))
    ]


def _digest(parts: Sequence[str | bytes]) -> str:
    """A hash of the parts and of where each ends."""
    digest = hashlib.blake2b(digest_size=20)
    for part in parts:
        part = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        digest.update(b"%d " % len(part) + part)
    return digest.hexdigest()


def _load(path: Path, digest: str) -> list[FrameAnnotation] | None:
    """What is kept for files of this digest; None where nothing is, or nothing that can be used."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["digest"] != digest:
            return None
        return [_restored(*values) for values in kept["annotations"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be used (%s); the annotations are parsed again.", path, error)
        return None


def _restored(
    height: int, width: int, objects: list[dict], other_names: list[str]
) -> FrameAnnotation:
    for values in objects:
        values["bbox_mode"] = BoxMode(values["bbox_mode"])
    return FrameAnnotation(height, width, objects, other_names)


def _save(path: Path, digest: str, annotations: Sequence[FrameAnnotation]) -> None:
    values = [(a.height, a.width, a.objects, a.other_names) for a in annotations]
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(
                json.dumps({"digest": digest, "annotations": values}), encoding="utf-8"
            )
    except (InputError, OSError) as error:
        logger.warning("The annotations will be parsed each time: %s", error)
