"""Keeps what is logged the same over an interruption of the training."""

from detectron2.engine import HookBase

WINDOW = 20  # values that Detectron2's writers take the median of


class RecentMetrics(HookBase):
    """Saves the latest values of each smoothed metric, and puts them back when resumed.

    Without it, the losses that are logged after an interruption are medians of fewer steps.
    """

    def __init__(self) -> None:
        self._saved: dict[str, list[tuple[float, float]]] = {}

    def before_train(self) -> None:
        for name, values in self._saved.items():
            for value, iteration in values:
                self.trainer.storage.put_scalar(name, value, cur_iter=iteration)

    def state_dict(self) -> dict:
        storage = getattr(self.trainer, "storage", None)  # there is none before the training
        if storage is None:
            return {}
        smoothed = (name for name, hint in storage.smoothing_hints().items() if hint)
        return {name: storage.history(name).values()[-WINDOW:] for name in smoothed}

    def load_state_dict(self, state_dict: dict) -> None:
        self._saved = state_dict
