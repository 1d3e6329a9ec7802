import pytest
import torch
from detectron2.config import get_cfg
from torch import nn

from fgfa.config import add_fgfa_config
from fgfa.modeling.flow_net import RAFT, build_flow_net


class KnownFlow(nn.Module):
    """Stands in for torchvision's network: update i says i cells to the left."""

    def forward(self, image1, image2, num_flow_updates):
        self.seen = image1
        flow = torch.zeros(len(image1), 2, *image1.shape[-2:])
        return [flow - torch.tensor([16.0 * i, 0]).view(2, 1, 1) for i in range(num_flow_updates)]


@pytest.fixture
def net():
    net = RAFT(updates=3)
    net.net = KnownFlow()
    return net


def test_flow_is_the_last_update_in_cells(net):
    key, neighbor = torch.randn(2, 1, 3, 130, 200)
    flow = net(key, neighbor)
    assert flow.shape == (1, 2, 9, 13)
    assert (flow[:, 0] == -2).all()
    assert (flow[:, 1] == 0).all()


def test_predictions_start_with_the_last_update(net):
    key, neighbor = torch.randn(2, 1, 3, 128, 128)
    speeds = [flow[0, 0, 0, 0].item() for flow in net.predictions(key, neighbor)]
    assert speeds == [-2, -1, 0]


@pytest.mark.parametrize(
    ("size", "padded"), [((128, 136), (128, 136)), ((100, 129), (128, 136)), ((7, 500), (128, 504))]
)
def test_border_is_repeated_up_to_a_size_that_raft_takes(net, size, padded):
    key = torch.randn(1, 3, *size)
    net(key, key)
    seen = net.net.seen
    assert seen.shape[-2:] == padded
    assert torch.equal(seen[..., : size[0], : size[1]], key)
    assert torch.equal(seen[..., -1, -1], key[..., -1, -1])


def test_normalize_gives_minus_one_to_one(net):
    image = torch.tensor([0.0, 127.5, 255.0]).view(3, 1, 1)
    assert net.normalize(image).flatten().tolist() == [-1, 0, 1]


def test_torchvision_network_takes_odd_sizes():
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.MODEL.FLOW_NET.NAME = "RAFT"
    net = build_flow_net(cfg).eval()
    key = net.normalize(torch.rand(1, 3, 99, 145) * 255)
    with torch.no_grad():
        flow = net(key, key)
    assert flow.shape == (1, 2, 7, 10)
    assert flow.isfinite().all()
