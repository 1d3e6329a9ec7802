"""Freezing parts: gradients, batch statistics, losses of frozen heads, names that do not fit."""

import copy

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from torch import nn
from torchvision.models.optical_flow import raft_large

from fgfa.errors import InputError
from fgfa.model_parts import freeze_parts, part_of


def make_item() -> dict:
    images = torch.randint(256, (3, 3, 64, 96), dtype=torch.uint8)
    instances = Instances((64, 96))
    instances.gt_boxes = Boxes(torch.tensor([[10.0, 10, 60, 50]]))
    instances.gt_classes = torch.tensor([1])
    return {"image": images[0], "neighbors": list(images[1:]), "instances": instances}


def make_model() -> nn.Module:
    def layers() -> list[nn.Module]:
        return [nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout()]

    return nn.ModuleDict({"one": nn.Sequential(*layers()), "two": nn.Sequential(*layers())})


def test_longest_part_that_holds_a_name():
    parts = ["backbone", "backbone.res4", "backbone.res4.1", "res4"]
    assert part_of("backbone.res4.1.weight", parts) == "backbone.res4.1"
    assert part_of("backbone.res4.10.weight", parts) == "backbone.res4"
    assert part_of("backbone.res40.weight", parts) == "backbone"
    assert part_of("head.res4.weight", parts) is None


@pytest.mark.parametrize("through_copy", [False, True])
def test_layers_of_a_frozen_part_stay_in_evaluation_mode(through_copy: bool):
    model = make_model()
    freeze_parts(model, ["one"])
    model = copy.deepcopy(model) if through_copy else model
    model.eval().train()
    assert [m.training for m in model["one"]] == [False] * 3
    assert all(m.training for m in model["two"])
    assert not any(p.requires_grad for p in model["one"].parameters())
    assert all(p.requires_grad for p in model["two"].parameters())


@pytest.mark.parametrize("parts", [[], ["flow_net"]])
def test_statistics_of_torchvisions_raft_are_left(parts: list[str]):
    model = nn.ModuleDict({"flow_net": raft_large(), "head": nn.Conv2d(2, 1, 1)})
    before = copy.deepcopy(model.state_dict())
    freeze_parts(model, parts)
    images = torch.rand(2, 1, 3, 128, 128)
    model.train()["head"](model["flow_net"](*images, num_flow_updates=1)[0]).sum().backward()
    after = model.state_dict()
    moved = {name.rpartition(".")[2] for name in before if not before[name].equal(after[name])}
    assert moved == (set() if parts else {"running_mean", "running_var", "num_batches_tracked"})
    assert (model["flow_net"].feature_encoder.conv.weight.grad is None) == bool(parts)
    assert model["head"].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("architecture", "parts", "trained"),
    [
        ("FGFA", ["backbone", "proposal_generator", "roi_heads", "flow_net"], {"embedding"}),
        ("FGFA", ["backbone", "roi_heads", "proposal_generator", "embedding"], {"flow_net"}),
        ("GeneralizedRCNN", ["backbone", "proposal_generator"], {"roi_heads"}),
    ],
)
def test_rest_learns_from_the_losses_of_frozen_heads(
    tiny_cfg: CfgNode, architecture: str, parts: list[str], trained: set[str]
):
    tiny_cfg.MODEL.META_ARCHITECTURE = architecture
    model = build_model(tiny_cfg)
    freeze_parts(model, parts)
    with EventStorage():
        losses = model.train()([make_item(), make_item()])
    assert set(losses) == {"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"}
    sum(losses.values()).backward()
    moved = {n.partition(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert moved == trained


def test_part_without_parameters_is_no_mistake():
    model = nn.ModuleDict({"flow_net": nn.Identity(), "head": nn.Conv2d(2, 1, 1)})
    freeze_parts(model, ["flow_net"])
    assert all(p.requires_grad for p in model["head"].parameters())


def test_unknown_part_is_one_sentence():
    with pytest.raises(InputError, match=r"FROZEN_PARTS names 'on', .* use a part of one, two"):
        freeze_parts(make_model(), ["two", "on"])


def test_nothing_to_train_is_one_sentence():
    with pytest.raises(InputError, match=r"FROZEN_PARTS leaves nothing to train"):
        freeze_parts(make_model(), ["one", "two"])
