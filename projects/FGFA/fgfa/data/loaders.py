"""Detectron2's data loaders with the mapper and the sampler for videos."""

import itertools
import logging
import operator
import os
from collections.abc import Callable, Collection, Iterable, Sequence

from detectron2.config import CfgNode
from detectron2.data import (
    DatasetCatalog,
    DatasetFromList,
    MapDataset,
    MetadataCatalog,
    build_detection_train_loader,
    get_detection_dataset_dicts,
)
from detectron2.data.build import trivial_batch_collator
from detectron2.utils import comm
from torch.utils.data import DataLoader, Dataset

from fgfa.data.class_names import find_class_names
from fgfa.data.corrupt_frames import leave_out_corrupt, skips_corrupt_frames
from fgfa.data.mapper import VideoDatasetMapper
from fgfa.data.samplers import (
    TrainingBatchSampler,
    VideoBatchSampler,
    VideoInferenceSampler,
    frames_at_once,
)
from fgfa.data.seeding import mixed_seed, run_seed, seeded
from fgfa.errors import InputError

logger = logging.getLogger(__name__)


def build_train_loader(
    cfg: CfgNode,
    seed: int | None = None,
    first_batch: int = 0,
    make_sampler: Callable[[Sequence[dict]], Iterable[int]] | None = None,
) -> DataLoader:
    """Endless shuffled batches of `cfg.DATASETS.TRAIN`, over all ranks SOLVER.IMS_PER_BATCH frames.

    Batches follow from the seed alone, whatever DATALOADER.NUM_WORKERS is.

    Args:
        cfg: a config with FGFA's keys.
        seed: of order, augmentation and neighbors, from 0; by default `run_seed`.
        first_batch: the batch to begin with. Those before it are not read.
        make_sampler: makes of the dicts of all frames an endless order of their indices for this
            rank; by default the sampler that DATALOADER.SAMPLER_TRAIN names. numpy's generator is
            seeded when it is called.

    Raises:
        InputError: a data set is not registered or cannot be read, or keys do not fit one another.
    """
    _check_registered(cfg.DATASETS.TRAIN)
    _check_repeat_factors(cfg)
    seed = run_seed(cfg) if seed is None else seed
    with seeded(seed):  # Detectron2's samplers draw their seed from numpy's generator.
        parts = build_detection_train_loader.from_config(cfg, VideoDatasetMapper(cfg, True))
        frames = parts["dataset"]
        sampler = parts["sampler"] if make_sampler is None else make_sampler(frames)
    _check_class_count(cfg, cfg.DATASETS.TRAIN)
    _compare_classes(cfg)
    grouped = parts["aspect_ratio_grouping"]
    return DataLoader(
        SeededFrames(frames, parts["mapper"], seed),
        batch_sampler=TrainingBatchSampler(
            sampler,
            [grouped and frame["width"] > frame["height"] for frame in frames],
            _frames_per_rank(cfg),
            first_batch=first_batch,
        ),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=trivial_batch_collator,
        worker_init_fn=_leave_process_group,
    )


def _leave_process_group(worker: int) -> None:
    """Ctrl-C goes to a whole group, and the training may still need frames to finish a step."""
    os.setpgrp()


class SeededFrames(Dataset):
    """Frames as the model takes them, whose random choices follow from their number."""

    def __init__(self, frames: list[dict], mapper: Callable[[dict], dict], seed: int) -> None:
        """
        Args:
            frames: dicts of the data set.
            mapper: makes of one what the model takes.
            seed: of the training.
        """
        self._frames = DatasetFromList(frames, copy=False)
        self._mapper = mapper
        self._seed = seed

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, item: tuple[int, int]) -> dict:
        """The frame of an index and a number, see `TrainingBatchSampler`."""
        index, number = item
        with seeded(mixed_seed(self._seed, number)):
            return self._mapper(self._frames[index])


def build_test_loader(
    cfg: CfgNode, dataset_name: str, leave_out: Collection[str] = ()
) -> DataLoader:
    """Frames in order, whole videos on each rank; a batch is TEST.FRAMES_PER_BATCH of one video.

    Args:
        cfg: a config with FGFA's keys. Frames that cannot be read are left out where
            TEST.CORRUPT_FRAMES is "skip".
        dataset_name: a registered data set.
        leave_out: `video_id` of videos that are not to be read.

    Raises:
        InputError: the data set is not registered or cannot be read, FGFA is to run on one that
            does not hold whole videos, or TEST.FRAMES_PER_BATCH is below 1.
    """
    batch_size = frames_at_once(cfg)
    _check_registered([dataset_name])
    frames = get_detection_dataset_dicts(dataset_name, filter_empty=False)
    _check_class_count(cfg, [dataset_name])
    mapper = VideoDatasetMapper(cfg, is_train=False)
    if mapper.test_lookahead is not None:
        _check_whole_videos(dataset_name, frames)
    frames = [frame for frame in frames if frame["video_id"] not in leave_out]
    if skips_corrupt_frames(cfg):
        frames = leave_out_corrupt(frames, cfg.INPUT.FORMAT, cfg.DATALOADER.NUM_WORKERS)
    video_ids = [frame["video_id"] for frame in frames]
    return DataLoader(
        MapDataset(DatasetFromList(frames, copy=False), mapper),
        batch_sampler=VideoBatchSampler(VideoInferenceSampler(video_ids), video_ids, batch_size),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=trivial_batch_collator,
    )


def _check_registered(names: Iterable[str]) -> None:
    for name in names:
        if name not in DatasetCatalog.list():
            raise InputError(
                f"Data set '{name}' is not registered; name it in the datasets.yaml of "
                "DETECTRON2_DATASETS, call register_imagenet_vid or register_coco_vid, or use one "
                f"of {', '.join(sorted(DatasetCatalog.list()))}."
            )


def _check_class_count(cfg: CfgNode, names: Iterable[str]) -> None:
    """Raises where data sets, which have been read, have more classes than the model."""
    for name in names:
        count = len(MetadataCatalog.get(name).get("thing_classes", ()))
        if count > cfg.MODEL.ROI_HEADS.NUM_CLASSES:
            raise InputError(
                f"Data set '{name}' has {count} classes, the model "
                f"{cfg.MODEL.ROI_HEADS.NUM_CLASSES}; set MODEL.ROI_HEADS.NUM_CLASSES to {count}."
            )


def _compare_classes(cfg: CfgNode) -> None:
    """Warns where the classes of training data, which has been read, are not those of the test."""
    expected = list(find_class_names(cfg))
    for name in cfg.DATASETS.TRAIN:
        classes = list(MetadataCatalog.get(name).get("thing_classes", ()))
        if expected and classes != expected:
            logger.warning(
                "The classes of %s (%s) are not those of %s (%s), in this order: detections will "
                "be scored as other classes than they are.",
                name,
                ", ".join(classes),
                cfg.DATASETS.TEST[0],
                ", ".join(expected),
            )


def _check_repeat_factors(cfg: CfgNode) -> None:
    factors = cfg.DATASETS.TRAIN_REPEAT_FACTOR
    for entry in factors:
        if len(entry) != 2 or entry[0] not in cfg.DATASETS.TRAIN or entry[1] <= 0:
            raise InputError(
                f"DATASETS.TRAIN_REPEAT_FACTOR has {entry}; give pairs of a data set of "
                f"DATASETS.TRAIN ({', '.join(cfg.DATASETS.TRAIN)}) and a factor above 0"
            )
    if factors and not cfg.DATALOADER.SAMPLER_TRAIN.startswith("Weighted"):
        raise InputError(
            f"DATASETS.TRAIN_REPEAT_FACTOR is not used by {cfg.DATALOADER.SAMPLER_TRAIN}; set "
            "DATALOADER.SAMPLER_TRAIN to WeightedTrainingSampler"
        )


def _frames_per_rank(cfg: CfgNode) -> int:
    total, ranks = cfg.SOLVER.IMS_PER_BATCH, comm.get_world_size()
    if total < 1 or total % ranks:
        raise InputError(
            f"SOLVER.IMS_PER_BATCH is {total}; set it to a multiple of the {ranks} process(es)"
        )
    return total // ranks


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
