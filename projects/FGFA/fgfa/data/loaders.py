"""Detectron2's data loaders with the mapper and the sampler for videos."""

import itertools
import operator
from collections.abc import Iterable

from detectron2.config import CfgNode
from detectron2.data import (
    DatasetCatalog,
    DatasetFromList,
    MapDataset,
    build_detection_train_loader,
    get_detection_dataset_dicts,
)
from detectron2.data.build import trivial_batch_collator
from torch.utils.data import DataLoader

from fgfa.data.mapper import VideoDatasetMapper
from fgfa.data.samplers import VideoBatchSampler, VideoInferenceSampler
from fgfa.errors import InputError


def build_train_loader(cfg: CfgNode) -> Iterable[list[dict]]:
    """Endless shuffled batches of `cfg.DATASETS.TRAIN`, over all ranks SOLVER.IMS_PER_BATCH frames.

    Raises:
        InputError: a data set is not registered or cannot be read.
    """
    _check_registered(cfg.DATASETS.TRAIN)
    return build_detection_train_loader(cfg, mapper=VideoDatasetMapper(cfg, is_train=True))


def build_test_loader(cfg: CfgNode, dataset_name: str) -> DataLoader:
    """Frames in order, whole videos on each rank; a batch is TEST.FRAMES_PER_BATCH of one video.

    Raises:
        InputError: the data set is not registered or cannot be read, or FGFA is to run on one that
            does not hold whole videos.
    """
    _check_registered([dataset_name])
    frames = get_detection_dataset_dicts(dataset_name, filter_empty=False)
    mapper = VideoDatasetMapper(cfg, is_train=False)
    if mapper.test_lookahead is not None:
        _check_whole_videos(dataset_name, frames)
    video_ids = [frame["video_id"] for frame in frames]
    return DataLoader(
        MapDataset(DatasetFromList(frames, copy=False), mapper),
        batch_sampler=VideoBatchSampler(
            VideoInferenceSampler(video_ids), video_ids, cfg.TEST.FRAMES_PER_BATCH
        ),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=trivial_batch_collator,
    )


def _check_registered(names: Iterable[str]) -> None:
    for name in names:
        if name not in DatasetCatalog.list():
            raise InputError(
                f"Data set '{name}' is not registered; call register_imagenet_vid or "
                f"register_coco_vid, or use one of {', '.join(sorted(DatasetCatalog.list()))}."
            )


def _check_whole_videos(name: str, frames: list[dict]) -> None:
    for video_id, run in itertools.groupby(frames, key=operator.itemgetter("video_id")):
        video = list(run)
        indices = [frame["frame_index"] for frame in video]
        if indices != list(range(video[0]["video_length"])):
            raise InputError(
                f"Data set '{name}', video {video_id}: {len(indices)} of "
                f"{video[0]['video_length']} frames are listed; FGFA is tested on whole videos, "
                "so use a list of videos instead of key frames."
            )
