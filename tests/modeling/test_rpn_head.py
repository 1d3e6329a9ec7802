"""The proposal head of R-FCN."""

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling.proposal_generator.rpn import build_rpn_head

from fgfa.modeling import RFCNRPNHead


def test_shapes_and_anchors_come_from_the_config(tiny_cfg: CfgNode):
    head = build_rpn_head(tiny_cfg, [ShapeSpec(channels=16, stride=16)])
    assert isinstance(head, RFCNRPNHead)
    logits, deltas = head([torch.randn(2, 16, 3, 4), torch.randn(1, 16, 5, 6)])
    assert [x.shape for x in logits] == [(2, 6, 3, 4), (1, 6, 5, 6)]
    assert [x.shape for x in deltas] == [(2, 24, 3, 4), (1, 24, 5, 6)]


def test_only_the_first_half_of_the_channels_is_read():
    head = RFCNRPNHead(in_channels=6, num_anchors=2)
    feature = torch.randn(1, 6, 3, 4, requires_grad=True)
    (logits,), (deltas,) = head([feature])
    (logits.sum() + deltas.sum()).backward()
    touched = feature.grad.abs().amax(dim=(0, 2, 3)) > 0
    assert touched.tolist() == [True] * 3 + [False] * 3


def test_a_cell_is_scored_from_itself_alone():
    head = RFCNRPNHead(in_channels=6, num_anchors=2)
    feature = torch.randn(1, 6, 3, 4, requires_grad=True)
    (logits,), (deltas,) = head([feature])
    (logits + deltas[:, :2])[..., 1, 2].sum().backward()
    assert feature.grad.abs().sum(dim=(0, 1)).nonzero().tolist() == [[1, 2]]
