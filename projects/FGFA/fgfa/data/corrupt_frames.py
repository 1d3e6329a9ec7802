"""Frames that cannot be read at test time: they stop it, or are left out and counted."""

import itertools
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from detectron2.config import CfgNode
from detectron2.utils import comm
from tqdm import tqdm

from fgfa.data.frame_reading import read_frame
from fgfa.data.video_frames import VideoFrames
from fgfa.errors import InputError

logger = logging.getLogger(__name__)


def skips_corrupt_frames(cfg: CfgNode) -> bool:
    """Whether frames that cannot be read are left out, by TEST.CORRUPT_FRAMES.

    Raises:
        InputError: the key is neither "stop" nor "skip".
    """
    choice = cfg.TEST.CORRUPT_FRAMES
    if choice not in ("stop", "skip"):
        raise InputError(f"TEST.CORRUPT_FRAMES is {choice!r}; set it to stop or skip")
    return choice == "skip"


def leave_out_corrupt(frames: Sequence[dict], image_format: str, threads: int) -> list[dict]:
    """The frames that can be read, in videos that are as if there were no others.

    All files are read, those of a process by itself where there are several.

    Args:
        frames: dicts of a data set, those of a video one after the other.
        image_format: see `read_frame`.
        threads: that read at once.

    Raises:
        InputError: not one can be read.
    """
    mine = frames[comm.get_rank() :: comm.get_world_size()]
    with ThreadPoolExecutor(max(1, threads)) as pool:
        found = pool.map(partial(_problem, image_format), mine)
        problems = [p for p in tqdm(found, "checking frames", len(mine), delay=1) if p]
    problems = dict(itertools.chain.from_iterable(comm.all_gather(problems)))
    if not problems:
        return list(frames)
    logger.warning(
        "%d of %d frames cannot be read and are left out (TEST.CORRUPT_FRAMES), such as: %s",
        len(problems),
        len(frames),
        next(iter(problems.values())),
    )
    readable = [frame for frame in frames if frame["file_name"] not in problems]
    if not readable:
        raise InputError(f"no frame can be read, such as: {next(iter(problems.values()))}")
    videos = itertools.groupby(readable, key=lambda frame: frame["video_id"])
    return [frame for _, video in videos for frame in _renumbered(list(video))]


def _problem(image_format: str, frame: dict) -> tuple[str, str] | None:
    """File and problem of a frame, if it has one."""
    try:
        read_frame(frame["file_name"], image_format, (frame["height"], frame["width"]))
    except InputError as error:
        return frame["file_name"], str(error)
    return None


def _renumbered(video: list[dict]) -> list[dict]:
    names = VideoFrames.from_names([frame["file_name"] for frame in video])
    return [
        {**frame, "frame_index": index, "video_length": len(video), "video_frames": names}
        for index, frame in enumerate(video)
    ]
