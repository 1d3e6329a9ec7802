"""The `instances_predictions.pth` of Detectron2's COCOEvaluator."""

import itertools
import operator
import os

import numpy as np
import torch

from fgfa.errors import InputError
from fgfa.evaluation.coco_results import ResultCollector, as_results
from fgfa.evaluation.records import Detections
from fgfa.files import atomic_write
from fgfa.plain_files import load_tensors


def read_detectron2_predictions(path: str | os.PathLike[str], num_classes: int) -> Detections:
    """Reads what COCOEvaluator saves: a list of frames, each with a list of COCO results.

    No code of the file is run. Classes are those of the model, from 0: unlike in COCO results, the
    evaluator saves them before it puts in the category ids of the data set.

    Args:
        path: the file.
        num_classes: C.

    Returns:
        Detections in the order of the file.

    Raises:
        OSError: the file cannot be read.
        InputError: the file is broken, or holds something else.
    """
    try:
        frames = load_tensors(path)
    except OSError:
        raise
    except Exception as error:  # bytes that are no pickle can raise anything
        raise InputError(
            f"{path} is broken, or holds more than plain values ({type(error).__name__}); expected "
            "the instances_predictions.pth of Detectron2's COCOEvaluator"
        ) from error
    results = ResultCollector(path, range(num_classes))
    try:
        for frame in frames:
            for result in frame["instances"]:
                results.add(result)
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{path} has no list of frames with `instances`, as the instances_predictions.pth of "
            "Detectron2's COCOEvaluator has"
        ) from error
    return results.detections()


def write_detectron2_predictions(path: str | os.PathLike[str], detections: Detections) -> None:
    """Writes detections as COCOEvaluator saves them, those of a frame together.

    Args:
        path: where; parent folders are made.
        detections: classes 0..C-1; scores and boxes are written in full precision.
    """
    by_frame = detections[np.argsort(detections.image_ids, kind="stable")]
    results = as_results(by_frame, range(by_frame.classes.max(initial=0) + 1))
    frames = [
        {"image_id": image_id, "instances": list(instances)}
        for image_id, instances in itertools.groupby(results, operator.itemgetter("image_id"))
    ]
    with atomic_write(path) as temporary:
        torch.save(frames, temporary)
