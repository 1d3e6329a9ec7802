"""Optimizers: MXNet's against the original's numbers and against its formula."""

import copy
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.solver import build_lr_scheduler
from torch import nn

from fgfa.errors import InputError
from fgfa.solver import MXNetSGD, build_optimizer

OUR_NAMES = {
    "foo_weight": "foo.weight",
    "foo_bias": "foo.bias",
    "bn_gamma": "bn.weight",
    "bn_beta": "bn.bias",
}


def make_module() -> nn.Module:
    return nn.ModuleDict({"foo": nn.Linear(3, 4), "bn": nn.BatchNorm1d(4)})


def make_parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


def as_ours(array: np.ndarray) -> torch.Tensor:
    """The original's array in our layout: its linear weight is transposed here."""
    return torch.from_numpy(np.ascontiguousarray(array.T))


def test_four_steps_are_those_of_the_original(
    tiny_cfg: CfgNode, golden: Callable[[str], Mapping[str, np.ndarray]]
):
    steps = golden("sgd")
    tiny_cfg.merge_from_list(
        [
            *("SOLVER.OPTIMIZER", "MXNetSGD", "SOLVER.BASE_LR", 2.5e-4, "SOLVER.MOMENTUM", 0.9),
            *("SOLVER.WEIGHT_DECAY", 5e-4, "SOLVER.WEIGHT_DECAY_NORM", 5e-4),
            *("SOLVER.STEPS", [2], "SOLVER.MAX_ITER", 4, "SOLVER.IMS_PER_BATCH", 4),
        ]
    )
    module = make_module()
    parameters = {name: module.get_parameter(ours) for name, ours in OUR_NAMES.items()}
    for name, parameter in parameters.items():
        parameter.data.copy_(as_ours(steps[f"init_{name}"]))
    optimizer = build_optimizer(tiny_cfg, module)
    scheduler = build_lr_scheduler(tiny_cfg, optimizer)
    for index in range(4):
        for name, parameter in parameters.items():
            # The original sums over the images of a batch.
            parameter.grad = as_ours(steps[f"grad{index}_{name}"]) / tiny_cfg.SOLVER.IMS_PER_BATCH
        optimizer.step()
        scheduler.step()
        for name, parameter in parameters.items():
            expected = as_ours(steps[f"after{index}_{name}"])
            torch.testing.assert_close(parameter.data, expected, rtol=1e-6, atol=0)


def test_a_drop_of_the_learning_rate_leaves_the_momentum():
    weight = make_parameter(1.0)
    optimizer = MXNetSGD([weight], lr=0.1, momentum=0.5)
    weight.grad = torch.tensor([2.0])
    optimizer.step()
    assert weight.item() == pytest.approx(0.8)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert weight.item() == pytest.approx(0.7)


def test_gradients_and_not_weight_decay_are_multiplied():
    weight = make_parameter(1.0, 1.0)
    optimizer = MXNetSGD([weight], lr=0.1, weight_decay=0.5, gradient_factor=4)
    weight.grad = torch.tensor([0.0, 1.0])
    optimizer.step()
    torch.testing.assert_close(weight.data, torch.tensor([0.95, 0.55]))
    assert weight.grad.tolist() == [0.0, 1.0]


def test_parameters_without_gradient_are_left_alone():
    weights = [make_parameter(1.0), make_parameter(1.0)]
    optimizer = MXNetSGD([*weights, make_parameter()], lr=0.1, weight_decay=0.5)
    weights[1].grad = torch.tensor([1.0])
    optimizer.step()
    assert [weight.item() for weight in weights] == pytest.approx([1.0, 0.85])
    weights[1].grad = None
    optimizer.step()
    assert weights[1].item() == pytest.approx(0.85)


def test_state_goes_through_a_checkpoint():
    def make() -> tuple[nn.Parameter, MXNetSGD]:
        weight = make_parameter(1.0, 2.0)
        return weight, MXNetSGD([weight], lr=0.1, weight_decay=0.01)

    def step(weight: nn.Parameter, optimizer: MXNetSGD) -> None:
        weight.grad = torch.tensor([1.0, -1.0])
        optimizer.step()

    weight, optimizer = make()
    step(weight, optimizer)
    resumed, other = make()
    resumed.data.copy_(weight.data)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(weight, optimizer)
    step(resumed, other)
    assert resumed.tolist() == weight.tolist()


def test_closure_gives_the_loss():
    weight = make_parameter(3.0)
    optimizer = MXNetSGD([weight], lr=0.1)

    def closure() -> torch.Tensor:
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert weight.item() == pytest.approx(2.4)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("SGD", torch.optim.SGD), ("AdamW", torch.optim.AdamW), ("MXNetSGD", MXNetSGD)],
)
@pytest.mark.parametrize("clips", [False, True])
def test_optimizer_is_chosen_by_name(tiny_cfg: CfgNode, name: str, optimizer: type, clips: bool):
    tiny_cfg.SOLVER.OPTIMIZER = name
    tiny_cfg.SOLVER.CLIP_GRADIENTS.ENABLED = clips
    tiny_cfg.SOLVER.BIAS_LR_FACTOR = 2.0
    built = build_optimizer(tiny_cfg, make_module())
    assert isinstance(built, optimizer)
    assert (type(built) is optimizer) is not clips
    lr, decay = tiny_cfg.SOLVER.BASE_LR, tiny_cfg.SOLVER.WEIGHT_DECAY
    options = sorted((len(g["params"]), g["lr"], g["weight_decay"]) for g in built.param_groups)
    assert options == [(1, lr, 0.0), (1, lr, decay), (2, 2 * lr, 0.0)]


@pytest.mark.parametrize("name", ["SGD", "AdamW", "MXNetSGD"])
def test_parts_have_factors_on_their_learning_rate(tiny_cfg: CfgNode, name: str):
    tiny_cfg.SOLVER.OPTIMIZER = name
    tiny_cfg.SOLVER.BIAS_LR_FACTOR = 2.0
    tiny_cfg.SOLVER.LR_FACTORS = [["a", 0.5], ["a.foo", 0.1], ["a.fo", 7.0], ["b.bn", 3.0]]
    model = nn.ModuleDict({"a": make_module(), "b": make_module()})
    with pytest.raises(
        InputError, match=r"SOLVER\.LR_FACTORS names 'a\.fo', .* use a part of a, b"
    ):
        build_optimizer(tiny_cfg, model)
    del tiny_cfg.SOLVER.LR_FACTORS[2]
    groups = build_optimizer(tiny_cfg, model).param_groups
    rates = {p: g["lr"] / tiny_cfg.SOLVER.BASE_LR for g in groups for p in g["params"]}
    factors = {name: rates[param] for name, param in model.named_parameters()}
    assert factors == pytest.approx(
        {
            **{"a.foo.weight": 0.1, "a.foo.bias": 0.2, "a.bn.weight": 0.5, "a.bn.bias": 1.0},
            **{"b.foo.weight": 1.0, "b.foo.bias": 2.0, "b.bn.weight": 3.0, "b.bn.bias": 6.0},
        }
    )


@pytest.mark.parametrize("entries", [[["foo"]], [["foo", 0]], [["foo", -1.0]], [["fo", 0.1]]])
def test_wrong_factor_is_one_sentence(tiny_cfg: CfgNode, entries: list):
    tiny_cfg.SOLVER.LR_FACTORS = entries
    with pytest.raises(InputError, match=r"SOLVER\.LR_FACTORS"):
        build_optimizer(tiny_cfg, make_module())


def test_factors_may_name_what_is_frozen(tiny_cfg: CfgNode):
    tiny_cfg.SOLVER.LR_FACTORS = [["bn", 0.1]]
    module = make_module()
    module["bn"].requires_grad_(False)
    groups = build_optimizer(tiny_cfg, module).param_groups
    assert {group["lr"] for group in groups} == {tiny_cfg.SOLVER.BASE_LR}


def test_gradient_is_that_of_all_images_of_a_step(tiny_cfg: CfgNode):
    tiny_cfg.SOLVER.OPTIMIZER = "MXNetSGD"
    tiny_cfg.SOLVER.IMS_PER_BATCH, tiny_cfg.SOLVER.GRADIENT_ACCUMULATION = 3, 4
    assert build_optimizer(tiny_cfg, make_module()).defaults["gradient_factor"] == 12


def test_frozen_parameters_are_left_out(tiny_cfg: CfgNode):
    tiny_cfg.SOLVER.OPTIMIZER = "MXNetSGD"
    module = make_module()
    module["foo"].requires_grad_(False)
    groups = build_optimizer(tiny_cfg, module).param_groups
    assert sum(len(group["params"]) for group in groups) == 2


def test_unknown_optimizer_is_one_sentence(tiny_cfg: CfgNode):
    tiny_cfg.SOLVER.OPTIMIZER = "Adagrad"
    with pytest.raises(InputError, match=r"SOLVER\.OPTIMIZER"):
        build_optimizer(tiny_cfg, make_module())
