"""The end of a training by Ctrl-C or SIGTERM, without loss of work."""

import logging
import signal
import threading
from types import FrameType

from detectron2.checkpoint import Checkpointer
from detectron2.engine import HookBase
from detectron2.utils import comm

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal(HookBase):
    """Behind the step in which Ctrl-C or SIGTERM came to any process, saves and ends the training.

    To be the last hook: the checkpoint then holds what the others did in the step. A second signal
    ends the program at once.
    """

    def __init__(self, checkpointer: Checkpointer) -> None:
        """
        Args:
            checkpointer: saves the training.
        """
        self._checkpointer = checkpointer
        self._former: dict[int, signal.Handlers] = {}
        self._received: int | None = None

    def before_train(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._receive) for number in _SIGNALS}

    def after_step(self) -> None:
        """
        Raises:
            KeyboardInterrupt: the training has been saved, and ends.
        """
        # Processes get their signals in different steps, and must end in the same one.
        received = [number for number in comm.all_gather(self._received) if number is not None]
        if not received:
            return
        iteration = self.trainer.iter
        self._checkpointer.save(f"model_{iteration:07d}", iteration=iteration)
        logger.info(
            "Ended by %s behind iteration %d; the same command with --resume goes on from there.",
            signal.Signals(received[0]).name,
            iteration,
        )
        raise KeyboardInterrupt

    def after_train(self) -> None:
        self._restore()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
