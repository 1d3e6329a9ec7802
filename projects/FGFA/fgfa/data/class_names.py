"""The names of a model's classes."""

from collections.abc import Sequence

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog


def find_class_names(cfg: CfgNode) -> Sequence[str]:
    """The classes of the first test set of `cfg`, or none where it is not registered here."""
    metadata = MetadataCatalog.get(cfg.DATASETS.TEST[0]) if cfg.DATASETS.TEST else None
    return metadata.get("thing_classes", ()) if metadata else ()
