import copy

import pytest
import torch
from torch import nn

from fgfa.activation_checkpointing import checkpoint_activations
from fgfa.errors import InputError


class Counted(nn.Module):
    """A layer that counts how often it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.runs = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return self.dropout(self.layer(x).sigmoid())


def make_model() -> nn.ModuleDict:
    return nn.ModuleDict({"body": nn.Sequential(Counted(), Counted()), "head": Counted()})


def gradients(model: nn.ModuleDict) -> list[torch.Tensor]:
    torch.manual_seed(5)
    model["head"](model["body"](torch.ones(2, 3, 8, 8))).sum().backward()
    return [parameter.grad for parameter in model.parameters()]


def test_gradients_are_the_same_and_blocks_run_twice() -> None:
    plain = make_model()
    model = copy.deepcopy(plain)
    checkpoint_activations(model, ["body"])
    torch.testing.assert_close(gradients(model), gradients(plain), rtol=0, atol=0)
    assert [block.runs for block in (*model["body"], model["head"])] == [2, 2, 1]
    assert list(model.state_dict()) == list(plain.state_dict())


def test_kept_memory_is_that_of_the_inputs() -> None:
    kept = []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.shape)
        return tensor

    model = make_model()
    checkpoint_activations(model, ["body", "head"])
    x = torch.ones(2, 3, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model["head"](model["body"](x))
    assert kept == [x.shape] * 3


def test_nothing_is_computed_twice_without_gradients() -> None:
    model = make_model()
    checkpoint_activations(model, ["body"])
    with torch.no_grad():
        model["body"](torch.ones(1, 3, 8, 8))
    assert [block.runs for block in model["body"]] == [1, 1]


def test_unknown_part() -> None:
    with pytest.raises(InputError, match="names 'bodi', and the model has no such module; it has"):
        checkpoint_activations(make_model(), ["bodi"])


def test_batch_norm_that_gathers_statistics() -> None:
    model = nn.ModuleDict({"body": nn.Sequential(nn.BatchNorm2d(3))})
    with pytest.raises(InputError, match="'body', whose batch norms gather statistics"):
        checkpoint_activations(model, ["body"])
    model.eval()
    checkpoint_activations(model, ["body"])
