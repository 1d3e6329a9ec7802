"""Parts of a model, named by how the names of their parameters begin, and freezing them.

"backbone" names every parameter of the backbone, "backbone.body.res4" one stage of it: a part ends
where a name has a dot, so "res4" is no part of "res40".
"""

from collections.abc import Iterable, Sequence
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fgfa.errors import InputError


def part_of(name: str, parts: Iterable[str]) -> str | None:
    """The longest of `parts` that a parameter or module of this name belongs to, or None."""
    return max((part for part in parts if f"{name}.".startswith(f"{part}.")), key=len, default=None)


def check_parts(parts: Iterable[str], names: Sequence[str], key: str) -> None:
    """Sees to it that each part is there.

    Args:
        parts: what a config names.
        names: names of the parameters, or of what else it can mean.
        key: the config key, for the message.

    Raises:
        InputError: if one holds none of `names`.
    """
    for part in parts:
        if not any(part_of(name, [part]) for name in names):
            known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise InputError(
                f"{key} names '{part}', which holds nothing here; use a part of {known}"
            )


def freeze_parts(model: nn.Module, parts: Sequence[str]) -> None:
    """Leaves parts of a model as they are in training, by `MODEL.FROZEN_PARTS`.

    Their parameters get no gradient, and their layers, such as batch norm and dropout, stay in
    evaluation mode. The modules around the layers do not: heads give losses in training mode only.

    Args:
        model: the model, which is changed.
        parts: see above.

    Raises:
        InputError: if a part is not in the model, or nothing remains to train.
    """
    # Modules too: a flow network such as DIS has no parameters, and is as frozen as one can ask.
    names = [name for name, _ in (*model.named_parameters(), *model.named_modules()) if name]
    check_parts(parts, names, "MODEL.FROZEN_PARTS")
    for name, parameter in model.named_parameters():
        if part_of(name, parts):
            parameter.requires_grad_(False)
    if parts and not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError("MODEL.FROZEN_PARTS leaves nothing to train; take a part out of it")
    for name, module in model.named_modules():
        # timm's batch norms hold an activation.
        is_layer = isinstance(module, _BatchNorm) or not any(module.children())
        if is_layer and part_of(name, parts):
            module.train = partial(_stay_in_evaluation, module)
            module.eval()


def _stay_in_evaluation(module: nn.Module, mode: bool = True) -> nn.Module:
    """Takes the place of a module's `train`, which `train` and `eval` of its parents call."""
    return nn.Module.train(module, False)
