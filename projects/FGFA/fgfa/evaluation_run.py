"""Evaluation of a checkpoint on the data sets of a config, that goes on after an interruption."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.evaluation import inference_on_dataset, print_csv_format
from detectron2.utils import comm
from torch import nn

from fgfa.data import build_test_loader
from fgfa.evaluation.resumable import UNFINISHED, FinishedVideos, ResumableEvaluator
from fgfa.trainer import Trainer


def evaluate(cfg: CfgNode, model: nn.Module, resume: bool = False) -> OrderedDict:
    """Detects in the videos of DATASETS.TEST and scores them.

    Until a data set has been scored, the detections of its finished videos are kept in the folder
    unfinished_evaluation of OUTPUT_DIR.

    Args:
        cfg: a config with FGFA's keys.
        model: in evaluation mode, with its weights.
        resume: go on behind the videos that an interrupted run has finished. Results are the same
            to the last bit.

    Returns:
        The results of each data set by its name, or of a single one as they are, on the main
        process; empty ones elsewhere.

    Raises:
        InputError: a data set is not registered or cannot be read, or what is to be resumed is of
            another model, config or data set.
    """
    results = OrderedDict()
    for name in cfg.DATASETS.TEST:
        evaluator = Trainer.build_evaluator(cfg, name)
        frames = DatasetCatalog.get(name)
        fingerprint = _fingerprint(cfg, model, frames)
        videos = FinishedVideos(Path(cfg.OUTPUT_DIR, UNFINISHED, name), frames, fingerprint, resume)
        loader = build_test_loader(cfg, name, leave_out=videos.ids)
        results[name] = inference_on_dataset(model, loader, ResumableEvaluator(evaluator, videos))
        if comm.is_main_process():
            print_csv_format(results[name])
    return next(iter(results.values())) if len(results) == 1 else results


def _fingerprint(cfg: CfgNode, model: nn.Module, frames: Sequence[dict]) -> str:
    """The same text for the same config, weights and frames only."""
    digest = hashlib.sha256()
    digest.update(repr([cfg.MODEL, cfg.INPUT, cfg.TEST]).encode())
    digest.update(repr([(frame["video_id"], frame["file_name"]) for frame in frames]).encode())
    for name, values in model.state_dict().items():
        digest.update(name.encode())
        digest.update(values.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
