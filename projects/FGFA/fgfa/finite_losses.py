"""The end of a training whose loss is no number any more, with what is needed to find out why."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from detectron2.utils import comm

from fgfa.errors import InputError
from fgfa.files import atomic_write


def check_losses(
    losses: Mapping[str, torch.Tensor], batch: Sequence[dict], iteration: int, output_dir: str
) -> None:
    """Sees to it that all losses of a batch are finite, before weights are spoiled.

    Args:
        losses: by name.
        batch: what the model was given.
        iteration: number of the step, from 0.
        output_dir: folder that the batch is saved in, with the losses, where one is not finite.

    Raises:
        InputError: one is infinite or NaN.
    """
    if all(torch.isfinite(loss).all() for loss in losses.values()):
        return
    values = {name: loss.item() for name, loss in losses.items()}
    path = Path(output_dir) / f"not_finite_{iteration:07d}_{comm.get_rank()}.pth"
    with atomic_write(path) as temporary:
        torch.save({"iteration": iteration, "losses": values, "batch": list(batch)}, temporary)
    names = ", ".join(str(frame.get("file_name", "a frame without a file")) for frame in batch)
    shown = ", ".join(f"{name} {value:g}" for name, value in values.items())
    raise InputError(
        f"iteration {iteration} has losses that are not finite ({shown}), on {names}; the batch is "
        f"in {path}, to be looked at with torch.load(..., weights_only=False). Lower "
        "SOLVER.BASE_LR or set SOLVER.CLIP_GRADIENTS.ENABLED, and check the annotations of these "
        "frames; earlier checkpoints are whole"
    )
