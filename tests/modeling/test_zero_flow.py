"""Aggregation without a flow network."""

import torch
from detectron2.config import CfgNode

from fgfa.modeling.flow_net import ZeroFlow, build_flow_net


def test_flow_is_zero_on_every_cell(tiny_cfg: CfgNode):
    tiny_cfg.MODEL.FLOW_NET.NAME = "ZeroFlow"
    net = build_flow_net(tiny_cfg)
    assert isinstance(net, ZeroFlow)
    assert not list(net.parameters())
    image = net.normalize(torch.full((2, 3, 33, 64), 7, dtype=torch.uint8))
    flow = net(net.as_key(image), net.as_neighbor(image))
    assert flow.shape == (2, 2, 3, 4)
    assert not flow.any()
