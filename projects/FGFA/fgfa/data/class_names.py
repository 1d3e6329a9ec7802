"""The names of a model's classes."""

import contextlib
from collections.abc import Sequence

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa.errors import InputError


def find_class_names(cfg: CfgNode) -> Sequence[str]:
    """The classes of the first test set of `cfg`, or none where it is not registered here.

    Those of COCO-VID JSON are known once the file has been read, and unknown where it is missing.
    """
    if not cfg.DATASETS.TEST:
        return ()
    name = cfg.DATASETS.TEST[0]
    metadata = MetadataCatalog.get(name)
    if metadata.get("thing_classes") is None and name in DatasetCatalog:
        with contextlib.suppress(InputError):
            DatasetCatalog.get(name)
    return metadata.get("thing_classes", ())
