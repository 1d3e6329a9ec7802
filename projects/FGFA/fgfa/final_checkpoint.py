"""The last file of a training that was killed just before it was written."""

from detectron2.checkpoint import Checkpointer
from detectron2.engine import HookBase


class FinalCheckpoint(HookBase):
    """Writes model_final.pth when a training is resumed that has no step left.

    Killed between its last numbered checkpoint and this file, which are both written behind the
    last step, it would never have it. To be behind the hooks whose states belong to it.
    """

    def __init__(self, checkpointer: Checkpointer) -> None:
        """
        Args:
            checkpointer: saves the training.
        """
        self._checkpointer = checkpointer

    def before_train(self) -> None:
        if self.trainer.start_iter >= self.trainer.max_iter:
            self._checkpointer.save("model_final", iteration=self.trainer.max_iter - 1)
