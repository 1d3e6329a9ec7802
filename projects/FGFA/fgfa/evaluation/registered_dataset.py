"""Access to Detectron2's catalog, with a sentence for names that are not in it."""

from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa.errors import InputError


def registered_dataset(name: str) -> tuple[list[dict], list[str]]:
    """Frame dicts and class names of a registered data set.

    Raises:
        InputError: no data set has this name.
    """
    require_registered(name)
    return DatasetCatalog.get(name), MetadataCatalog.get(name).thing_classes


def require_registered(name: str) -> None:
    """Makes sure that a data set of this name is registered.

    Raises:
        InputError: none is; the sentence lists those that are.
    """
    if name not in DatasetCatalog:
        known = [n for n in DatasetCatalog if _evaluator_type(n) == "imagenet_vid"]
        raise InputError(
            f"no data set is named {name}: name it in the datasets.yaml of DETECTRON2_DATASETS, "
            f"register it, or choose one of {', '.join(known)}"
        )


def category_ids(name: str) -> list[int] | None:
    """The `category_id` of each class in the JSON file of a data set that has been read.

    None where the data set does not come from COCO's JSON.
    """
    ids = MetadataCatalog.get(name).get("thing_dataset_id_to_contiguous_id")
    return ids and sorted(ids, key=ids.get)


def _evaluator_type(name: str) -> str | None:
    return MetadataCatalog.get(name).get("evaluator_type")
