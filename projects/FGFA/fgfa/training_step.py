"""One step of training: some batches, perhaps in half precision, and one step of the optimizer."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import torch
from detectron2.engine import SimpleTrainer
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from fgfa.data.seeding import mixed_seed
from fgfa.errors import InputError
from fgfa.finite_losses import check_losses


class AccumulatingTrainer(SimpleTrainer):
    """Detectron2's `SimpleTrainer`, which sums the gradients of several batches in a step.

    What the model draws in a step, such as the boxes that it learns from, follows from the seed and
    the number of the step alone. The seed is saved with the optimizer, so that a resumed training
    goes on as it began.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: Iterable[list[dict]],
        optimizer: torch.optim.Optimizer,
        *,
        seed: int,
        batches_per_step: int = 1,
        mixed_precision_on: str | None = None,
        output_dir: str = ".",
    ) -> None:
        """
        Args:
            model: gives a dict of losses for a batch.
            data_loader: gives batches; may be set later.
            optimizer: of the model's parameters.
            seed: of the training, from 0.
            batches_per_step: batches whose losses are averaged for a step of the optimizer.
            mixed_precision_on: type of the device, "cuda" (float16, with scaled gradients) or "cpu"
                (bfloat16), for automatic mixed precision; None for full precision.
            output_dir: where a batch is saved whose loss is not finite.
        """
        super().__init__(model, data_loader, optimizer)
        self.seed = seed
        self.batches_per_step = batches_per_step
        self._output_dir = output_dir
        self._autocast = contextlib.nullcontext()
        if mixed_precision_on:
            dtype = torch.float16 if mixed_precision_on == "cuda" else torch.bfloat16
            self._autocast = torch.autocast(mixed_precision_on, dtype)
        self._scaler = torch.amp.GradScaler("cuda", enabled=mixed_precision_on == "cuda")

    def run_step(self) -> None:
        """Takes `batches_per_step` batches and one step of the optimizer.

        Raises:
            InputError: a loss is not finite, or a process that reads frames was killed.
        """
        assert self.model.training, "the model was left in evaluation mode"
        batches = self._data_loader_iter  # a loader that starts draws a number
        seed_all_rng(mixed_seed(self.seed, self.iter, comm.get_rank()))
        self.optimizer.zero_grad()
        losses: Counter[str] = Counter()
        data_time = 0.0
        for number in range(self.batches_per_step):
            start = time.perf_counter()
            batch = _next_batch(batches)
            data_time += time.perf_counter() - start
            is_last = number == self.batches_per_step - 1
            with contextlib.nullcontext() if is_last else self._without_synchronization():
                losses.update(self._add_gradients(batch))
        self.after_backward()
        self._write_metrics(losses, data_time)
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def _add_gradients(self, batch: list[dict]) -> dict[str, torch.Tensor]:
        """Adds a batch's share of the step's gradients, and gives its share of the losses."""
        with self._autocast:
            losses = {k: v / self.batches_per_step for k, v in self.model(batch).items()}
        check_losses(losses, batch, self.iter, self._output_dir)
        self._scaler.scale(sum(losses.values())).backward()
        return {name: loss.detach() for name, loss in losses.items()}

    def _without_synchronization(self) -> contextlib.AbstractContextManager:
        """Processes exchange gradients once a step, and not for each batch."""
        is_distributed = isinstance(self.model, DistributedDataParallel)
        return self.model.no_sync() if is_distributed else contextlib.nullcontext()

    def state_dict(self) -> dict:
        """Adds the seed and the scale of gradients to the state of `SimpleTrainer`."""
        return super().state_dict() | {"seed": self.seed, "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state_dict: dict) -> None:
        """Also takes the state of a `SimpleTrainer`."""
        super().load_state_dict(state_dict)
        self.seed = state_dict.get("seed", self.seed)
        if state_dict.get("scaler"):  # empty without float16
            self._scaler.load_state_dict(state_dict["scaler"])


def _next_batch(batches: Iterator[list[dict]]) -> list[dict]:
    try:
        return next(batches)
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        raise InputError(
            f"a process that reads training frames has ended ({error}); if memory ran out, lower "
            "DATALOADER.NUM_WORKERS, and go on with --resume"
        ) from error
