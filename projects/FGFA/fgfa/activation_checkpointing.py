"""Less memory in training: activations that are computed again instead of kept."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from fgfa.errors import InputError


def checkpoint_activations(model: nn.Module, parts: Sequence[str]) -> None:
    """Keeps only the inputs of modules in training, by `MODEL.CHECKPOINTED_PARTS`.

    What is inside of them is computed again in the backward pass, one module at a time, so the
    memory is that of the largest of them; each costs one more forward pass. Gradients are the same.

    Args:
        model: in training mode; it is changed. Names of parameters stay what they are.
        parts: names of modules, such as `backbone.body.res4`. A sequence of blocks stands for its
            blocks.

    Raises:
        InputError: if there is no such module, or one of its batch norms counts its batches, which
            would be counted twice.
    """
    modules = dict(model.named_modules())
    for part in parts:
        if part not in modules:
            raise InputError(
                f"MODEL.CHECKPOINTED_PARTS names '{part}', and the model has no such module; it "
                f"has {', '.join(name for name, _ in model.named_children())} and what is in them"
            )
        module = modules[part]
        if any(isinstance(m, _BatchNorm) and m.training for m in module.modules()):
            raise InputError(
                f"MODEL.CHECKPOINTED_PARTS names '{part}', whose batch norms gather statistics; "
                "freeze it by MODEL.FROZEN_PARTS, or take it out"
            )
        for block in module if isinstance(module, nn.Sequential) else [module]:
            block.forward = _Checkpointed(block.forward)


class _Checkpointed:
    """Takes the place of a module's `forward`."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self._forward = forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self._forward(*args, **kwargs)
        return checkpoint(self._forward, *args, use_reentrant=False, **kwargs)
