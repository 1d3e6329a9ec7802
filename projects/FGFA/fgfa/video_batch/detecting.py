"""The work of one process: it takes a video that no other has taken, until none is left."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch

from fgfa.data.corrupt_frames import skips_corrupt_frames
from fgfa.data.read_ahead import read_ahead
from fgfa.errors import InputError
from fgfa.files import atomic_write
from fgfa.predictor import VideoPredictor
from fgfa.tracking import Tracker
from fgfa.video_batch.batch import FAILED_NAME, Batch
from fgfa.video_batch.board import Board
from fgfa.video_batch.progress import Progress
from fgfa.video_batch.results import write_results
from fgfa.video_batch.sources import open_source, read_frames
from fgfa.video_batch.videos import Video

logger = logging.getLogger(__name__)


def detect_in_videos(batch: Batch | None) -> None:
    """Takes part in detecting in the videos of a batch, as a process of a process group or alone.

    A video that cannot be read is noted in the file failed.txt, and does not stop the others.

    Args:
        batch: what to do; the main process's counts, others may give None.

    Raises:
        InputError: if the model cannot be built, or the main process is gone.
    """
    board = Board.join()
    batch = board.share(batch)
    num_frames = sum(video.length for video in batch.videos)
    with Progress(board, len(batch.videos), num_frames) as progress:
        try:
            _work(batch, board, progress)
        finally:
            board.leave()
        if board.is_main:
            if not board.wait_for_all(progress.report):
                logger.error("Some processes are lost: nothing was heard of them for a long time.")
            summary = progress.summary()
    if board.is_main:
        _conclude(batch, progress.failures, summary)


def _work(batch: Batch, board: Board, progress: Progress) -> None:
    predictor = None
    for ticket in board.tickets(len(batch.videos)):
        predictor = predictor or VideoPredictor(batch.cfg)
        _detect_in_video(batch, batch.videos[ticket], predictor, progress)


def _detect_in_video(
    batch: Batch, video: Video, predictor: VideoPredictor, progress: Progress
) -> None:
    failure, left_out = None, 0
    try:
        left_out = _write_detections(batch, video, predictor, progress.add_frame)
    except (InputError, torch.cuda.OutOfMemoryError) as error:
        failure = error
    progress.end_video(video.name, video.length, failure, left_out)


def _write_detections(
    batch: Batch, video: Video, predictor: VideoPredictor, on_frame: Callable[[], None]
) -> int:
    """Gives the number of frames and gaps that were left out."""
    source = open_source(video.path, skips_corrupt_frames(batch.cfg))
    waiting: deque[tuple[float | None, str | None]] = deque()  # of frames without detections yet

    def read() -> Iterator[np.ndarray]:
        for frame in read_ahead(read_frames(source)):
            waiting.append((frame.seconds, frame.name))
            yield frame.image

    fps = source.fps if os.path.isfile(video.path) else None
    header = {"video": video.path, "source_size": video.size, "fps": fps}
    tracker = Tracker() if batch.tracks else None
    header |= {"class_names": batch.class_names, **batch.header}
    with write_results(batch.output / video.name, header) as writer:
        for _, instances in predictor(read()):
            seconds, name = waiting.popleft()
            instances = tracker.update(instances) if tracker else instances
            writer.write(instances, batch.class_names, seconds=seconds, name=name)
            on_frame()
        writer.left_out = list(source.left_out)
    return len(source.left_out)


def _conclude(batch: Batch, failures: list[tuple[str, str]], summary: str) -> None:
    logger.info(summary)
    if not failures:
        return
    lines = [f"{name}: {reason}" for name, reason in sorted(failures)]
    with atomic_write(batch.output / FAILED_NAME) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    logger.error("Failed, see %s:\n%s", batch.output / FAILED_NAME, "\n".join(lines))
