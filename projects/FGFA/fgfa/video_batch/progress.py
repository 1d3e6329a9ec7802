"""What a run has done so far, counted by all processes and shown by the main one."""

import logging
import sys
import time
from contextlib import AbstractContextManager, ExitStack

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from fgfa.video_batch.board import Board

logger = logging.getLogger(__name__)

_SECONDS = 0.5  # between two reports of a process
_SECONDS_IN_LOG = 30.0  # between two lines where no one watches


class Progress(AbstractContextManager):
    """Counts frames and videos; in the main process a bar shows those of all processes."""

    def __init__(self, board: Board, num_videos: int, num_frames: int) -> None:
        """
        Args:
            board: of the run.
            num_videos: how many there are to detect in.
            num_frames: how many they have, as far as it is known.
        """
        self._board = board
        self._num_videos = num_videos
        self._num_frames = num_frames
        self._frames = 0  # that the board does not know of
        self._frames_of_video = 0
        self._reported = time.monotonic()
        self._start = time.monotonic()
        self._bar: tqdm | None = None
        self._stack = ExitStack()
        self.failures: list[tuple[str, str]] = []

    def __enter__(self) -> "Progress":
        if self._board.is_main:
            self._stack.enter_context(logging_redirect_tqdm([logging.getLogger("fgfa")]))
            interval = _SECONDS if sys.stderr.isatty() else _SECONDS_IN_LOG
            self._bar = self._stack.enter_context(
                tqdm(total=self._num_frames, unit="frame", mininterval=interval)
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def add_frame(self) -> None:
        """Counts a frame of the video at work."""
        self._frames += 1
        self._frames_of_video += 1
        if time.monotonic() - self._reported > _SECONDS:
            self.report()

    def end_video(
        self, name: str, length: int, failure: Exception | None, left_out: int = 0
    ) -> None:
        """Counts a video.

        Args:
            name: the video's.
            length: how many frames it was thought to have.
            failure: why it could not be detected in, or None.
            left_out: number of its frames and gaps that could not be read.
        """
        if failure is None:
            self._board.add("finished", 1)
        else:
            self._board.note_failure(name, " ".join(str(failure).split()))
        self._board.add("left out", left_out)
        self._board.add("surplus", self._frames_of_video - length)
        self._frames_of_video = 0
        self.report()

    def report(self) -> tuple[int, int]:
        """Brings board and bar up to date; gives the numbers of frames and finished videos."""
        frames, self._frames = self._board.add("frames", self._frames), 0
        finished = self._board.read("finished")
        self._reported = time.monotonic()
        if self._bar is not None:
            for name, reason in self._board.failures(len(self.failures)):
                self.failures.append((name, reason))
                logger.warning("%s failed: %s", name, reason)
            self._bar.total = self._num_frames + self._board.read("surplus")
            self._bar.set_postfix_str(f"{finished}/{self._num_videos} videos", refresh=False)
            self._bar.update(frames - self._bar.n)
        return frames, finished

    def summary(self) -> str:
        """One line about the run."""
        frames, finished = self.report()
        seconds = time.monotonic() - self._start
        text = f"{finished} videos of {frames} frames in {tqdm.format_interval(seconds)}"
        left_out = self._board.read("left out")
        return (
            f"{text}, {frames / seconds:.1f} frames/s; {len(self.failures)} failed, {left_out} "
            "frames or gaps left out"
        )
