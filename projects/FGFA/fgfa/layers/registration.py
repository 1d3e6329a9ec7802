"""What the compiled operators need beside their kernels: shapes, gradients, autocast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def register_operator(
    name: str,
    *,
    fake: Callable[..., Any],
    fake_backward: Callable[..., Any],
    setup_context: Callable[..., None],
    backward: Callable[..., Any],
) -> None:
    """Registers what ``fgfa::<name>`` and ``fgfa::<name>_backward`` need beside their kernels.

    Under autocast both run in float32.

    Args:
        name: of the operator, without its namespace.
        fake: takes the operator's arguments, returns an empty tensor like its result.
        fake_backward: the same for ``<name>_backward``.
        setup_context: as in ``torch.library.register_autograd``.
        backward: as in ``torch.library.register_autograd``.
    """
    library, operator = torch.library, f"fgfa::{name}"
    library.register_fake(operator, fake)
    library.register_fake(f"{operator}_backward", fake_backward)
    library.register_autograd(operator, backward, setup_context=setup_context)
    for device_type in ("cpu", "cuda"):
        library.register_autocast(operator, device_type, torch.float32)
        library.register_autocast(f"{operator}_backward", device_type, torch.float32)


def empty_maps(shape: Sequence[int], like: Tensor) -> Tensor:
    """Returns what the kernels make for maps in the type and memory format of others.

    Args:
        shape: (N, C, H, W).
        like: of any four sizes; channels_last is kept, any other format becomes contiguous.
    """
    channels_last = like.is_contiguous(memory_format=torch.channels_last)
    contiguous = like.is_contiguous() or not channels_last
    memory_format = torch.contiguous_format if contiguous else torch.channels_last
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=memory_format)
