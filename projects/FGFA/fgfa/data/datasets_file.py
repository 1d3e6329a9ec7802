"""Data sets of one's own, named in a file `datasets.yaml` for all programs, without Python.

    pets_train:                        # the name in DATASETS.TRAIN, --dataset, ...
      json_file: pets/train.json       # COCO-VID
      image_root: pets/frames
    pets_val:
      root: pets/ILSVRC2015            # ImageNet VID's layout
      image_set: VID_val_videos
      class_names: [cat, dog]

The keys are the arguments of `register_coco_vid` and `register_imagenet_vid`; paths are relative to
the folder of the file.
"""

import inspect
import reprlib
from collections.abc import Callable
from pathlib import Path

import yaml
from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa.data.coco_vid import register_coco_vid
from fgfa.data.imagenet_vid import register_imagenet_vid
from fgfa.errors import InputError
from fgfa.files import refuse_special

FILE_NAME = "datasets.yaml"

_PATHS = ("json_file", "image_root", "root")


def register_datasets_file(path: Path) -> list[str]:
    """Registers the data sets of a file; theirs need not exist until they are used.

    Returns:
        Their names.

    Raises:
        InputError: the file is malformed, and none is registered; the sentence names the data set.
    """
    entries = [_entry(path, name, keys) for name, keys in _read(path).items()]
    registered = []
    try:
        for register, name, keys in entries:
            register(name, **keys)
            registered.append(name)
    except InputError as error:
        for name in registered:
            DatasetCatalog.remove(name)
            MetadataCatalog.remove(name)
        raise InputError(f"{path}: {error}") from error
    return registered


def _read(path: Path) -> dict:
    try:
        refuse_special(path)
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    except (RecursionError, ValueError, yaml.YAMLError) as error:  # PyYAML lets some of them pass
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a YAML file ({reason}); correct it.") from error
    if not isinstance(content, dict | None):
        raise InputError(f"{path}: it must hold names of data sets, with keys below each.")
    return content or {}


def _entry(path: Path, name: object, keys: object) -> tuple[Callable[..., None], str, dict]:
    """What registers a data set: a function, a name, and the function's other arguments."""
    where = f"{path}, {name}"
    if not isinstance(name, str) or not isinstance(keys, dict):
        raise InputError(f"{where}: it must be a name with keys below it, such as json_file.")
    if name in DatasetCatalog:
        raise InputError(f"{where}: there is a data set of this name; choose another name.")
    register = register_coco_vid if "json_file" in keys else register_imagenet_vid
    try:
        inspect.signature(register).bind(name, **keys)
    except TypeError as error:
        raise InputError(
            f"{where}: {error}; COCO-VID takes json_file and image_root, ImageNet VID's layout "
            "root, image_set and class_names."
        ) from error
    for key in ("image_set", *_PATHS):
        if not isinstance(keys.get(key, ""), str):
            # Aliases can make a value whose whole text would fill memory.
            shown = reprlib.repr(keys[key])
            raise InputError(f"{where}: key '{key}' is {shown}; it must be a path.")
    for key in ("class_names", "wnids"):
        names = keys.get(key, [])
        if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
            raise InputError(f"{where}: key '{key}' must be a list of names, such as [cat, dog].")
    paths = {key: path.parent / keys[key] for key in _PATHS if key in keys}
    return register, name, {**keys, **paths}
