"""Samplers: whole videos for tests, and batches that can be gone on from for training."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

from detectron2.config import CfgNode
from detectron2.utils import comm
from torch.utils.data import Sampler

from fgfa.errors import InputError


class VideoInferenceSampler(Sampler[int]):
    """Gives each rank a run of whole videos, about as many frames as the others.

    Over all ranks every index comes exactly once; nothing is padded. A rank gets nothing where
    others hold long videos.
    """

    def __init__(
        self,
        video_ids: Sequence[str],
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """
        Args:
            video_ids: video of each frame of the data set, in its order. Frames of a video
                are adjacent.
            rank: this process; Detectron2's by default.
            world_size: number of processes; Detectron2's by default.
        """
        rank = comm.get_rank() if rank is None else rank
        world_size = comm.get_world_size() if world_size is None else world_size
        lengths = [sum(1 for _ in run) for _, run in itertools.groupby(video_ids)]
        mine = [
            range(end - length, end)
            for length, end in zip(lengths, itertools.accumulate(lengths), strict=True)
            # The rank in whose share of the frames the middle of the video lies.
            if (2 * end - length) * world_size // (2 * len(video_ids)) == rank
        ]
        self._indices = range(mine[0].start, mine[-1].stop) if mine else range(0)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


class VideoBatchSampler(Sampler[list[int]]):
    """Cuts the frames of each video into batches, the last of which may be smaller."""

    def __init__(self, sampler: Sampler[int], video_ids: Sequence[str], batch_size: int) -> None:
        """
        Args:
            sampler: gives indices of frames, those of a video one after the other.
            video_ids: video of each frame of the data set.
            batch_size: frames in a batch.
        """
        videos = itertools.groupby(sampler, key=lambda index: video_ids[index])
        self._batches = [
            batch for _, video in videos for batch in _batches_of(list(video), batch_size)
        ]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


def frames_at_once(cfg: CfgNode) -> int:
    """Frames of a video that a model is given together, TEST.FRAMES_PER_BATCH.

    Raises:
        InputError: it is below 1.
    """
    count = cfg.TEST.FRAMES_PER_BATCH
    if count < 1:
        raise InputError(f"TEST.FRAMES_PER_BATCH is {count}; set it to 1 or more")
    return count


class TrainingBatchSampler(Sampler[list[tuple[int, int]]]):
    """Endless batches, of frames that are wide or of frames that are not.

    An item of a batch is a frame's index and its number in the training, which no other frame of
    any rank has.
    """

    def __init__(
        self,
        order: Iterable[int],
        is_wide: Sequence[bool],
        batch_size: int,
        *,
        first_batch: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """
        Args:
            order: indices of frames for this rank, the same at each iteration, such as a training
                sampler of Detectron2 with a seed.
            is_wide: for each frame of the data set, whether it only goes with the wide ones.
            batch_size: frames in a batch of this rank.
            first_batch: the batch to begin with; those before it are left out.
            rank: this process; Detectron2's by default.
            world_size: number of processes; Detectron2's by default.
        """
        self._order = order
        self._is_wide = is_wide
        self._batch_size = batch_size
        self._first_batch = first_batch
        self._rank = comm.get_rank() if rank is None else rank
        self._world_size = comm.get_world_size() if world_size is None else world_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return itertools.islice(self._all_batches(), self._first_batch, None)

    def _all_batches(self) -> Iterator[list[tuple[int, int]]]:
        waiting: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        numbers = itertools.count(self._rank, self._world_size)
        for item in zip(self._order, numbers, strict=False):
            batch = waiting[self._is_wide[item[0]]]
            batch.append(item)
            if len(batch) == self._batch_size:
                yield batch.copy()
                batch.clear()


def _batches_of(indices: Sequence[int], size: int) -> Iterator[list[int]]:
    return (list(indices[start : start + size]) for start in range(0, len(indices), size))
