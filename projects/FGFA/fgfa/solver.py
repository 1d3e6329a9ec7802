"""Optimizers by name, with that of the original among them."""

from collections.abc import Callable, Iterable

import torch
from detectron2.config import CfgNode
from detectron2.solver import get_default_optimizer_params
from detectron2.solver.build import maybe_add_gradient_clipping
from torch import nn

from fgfa.errors import InputError
from fgfa.model_parts import check_parts, part_of


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that `SOLVER.OPTIMIZER` names, over the parameters of `model` that are trained.

    Raises:
        InputError: if no optimizer has that name, or `SOLVER.LR_FACTORS` does not fit the model.
    """
    name = cfg.SOLVER.OPTIMIZER
    params = get_default_optimizer_params(
        model,
        base_lr=cfg.SOLVER.BASE_LR,
        weight_decay=cfg.SOLVER.WEIGHT_DECAY,
        weight_decay_norm=cfg.SOLVER.WEIGHT_DECAY_NORM,
        weight_decay_bias=cfg.SOLVER.WEIGHT_DECAY_BIAS,
        lr_factor_func=_lr_factor_function(cfg, model),
    )
    if name == "SGD":
        return maybe_add_gradient_clipping(cfg, torch.optim.SGD)(
            params,
            lr=cfg.SOLVER.BASE_LR,
            momentum=cfg.SOLVER.MOMENTUM,
            nesterov=cfg.SOLVER.NESTEROV,
            foreach=True,
        )
    if name == "AdamW":
        return maybe_add_gradient_clipping(cfg, torch.optim.AdamW)(params)
    if name == "MXNetSGD":
        return maybe_add_gradient_clipping(cfg, MXNetSGD)(
            params,
            lr=cfg.SOLVER.BASE_LR,
            momentum=cfg.SOLVER.MOMENTUM,
            gradient_factor=cfg.SOLVER.IMS_PER_BATCH * cfg.SOLVER.GRADIENT_ACCUMULATION,
        )
    raise InputError(f"SOLVER.OPTIMIZER is {name!r}; use SGD, MXNetSGD or AdamW")


def _lr_factor_function(cfg: CfgNode, model: nn.Module) -> Callable[[str], float]:
    """A function that gives the factor on the learning rate of a parameter, by its name."""
    entries = cfg.SOLVER.LR_FACTORS
    if not all(len(entry) == 2 and entry[1] > 0 for entry in entries):
        raise InputError(
            f"SOLVER.LR_FACTORS is {entries}; give pairs of a part and a factor above 0, such as "
            "[['flow_net', 0.1]] (MODEL.FROZEN_PARTS leaves a part as it is)"
        )
    factors = dict(entries)
    # A part may be frozen: configs share their factors with those that freeze more.
    check_parts(factors, [name for name, _ in model.named_parameters()], "SOLVER.LR_FACTORS")

    def factor(name: str) -> float:
        # Detectron2's own factor for biases would take the place of the other one.
        of_bias = cfg.SOLVER.BIAS_LR_FACTOR if name.endswith(".bias") else 1.0
        return of_bias * factors.get(part_of(name, factors), 1.0)

    return factor


class MXNetSGD(torch.optim.Optimizer):
    """MXNet's stochastic gradient descent, whose momentum gathers steps and not gradients.

        m = momentum * m - lr * (gradient_factor * g + weight_decay * w)
        w = w + m

    So the steps of the time before a drop of the learning rate go on at their old size, where
    `torch.optim.SGD` would shrink them at once. Source: `sgd_mom_update` of MXNet, by which the
    original trains.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        gradient_factor: float = 1.0,
    ) -> None:
        """
        Args:
            params: parameters, or groups of them with values of their own for `lr` and the others.
            lr: learning rate.
            momentum: share of the former step that is taken again.
            weight_decay: share of a weight that is added to its gradient.
            gradient_factor: factor on gradients, not on weight decay. The loss of Detectron2 is the
                mean over a step's images, that of the original the sum: the number of these images
                makes the learning rate and weight decay those of the original.
        """
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "gradient_factor": gradient_factor,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """Updates the parameters that have a gradient.

        Args:
            closure: computes the loss and its gradients anew.

        Returns:
            What `closure` returns.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            if params:
                self._update(params, group)
        return loss

    def _update(self, params: list[nn.Parameter], group: dict) -> None:
        for param in params:
            self.state[param].setdefault("momentum", torch.zeros_like(param))
        momenta = [self.state[param]["momentum"] for param in params]
        slopes = torch._foreach_mul([param.grad for param in params], group["gradient_factor"])
        torch._foreach_add_(slopes, params, alpha=group["weight_decay"])
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, slopes, alpha=-group["lr"])
        torch._foreach_add_(params, momenta)
