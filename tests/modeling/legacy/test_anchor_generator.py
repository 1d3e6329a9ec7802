"""Anchors of the original."""

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_anchor_generator

from fgfa.modeling import LegacyAnchorGenerator


def make_generator() -> LegacyAnchorGenerator:
    return LegacyAnchorGenerator(
        sizes=[[128, 256, 512]], aspect_ratios=[[0.5, 1.0, 2.0]], strides=[16], offset=0.0
    )


def test_anchors_of_a_cell_are_those_of_the_original(shared_dir):
    golden = np.load(shared_dir / "golden" / "ops.npz")["anchors_16_float32scales"]
    (anchors,) = make_generator()([torch.zeros(1, 1, 1, 1)])
    assert torch.equal(anchors.tensor, torch.from_numpy(golden))


def test_anchors_are_whole_pixels_by_ratio_and_then_by_size():
    (anchors,) = make_generator()([torch.zeros(1, 1, 1, 1)])
    corners = anchors.tensor
    assert torch.equal(corners, corners.round())
    heights, widths = corners[:, 3] - corners[:, 1] + 1, corners[:, 2] - corners[:, 0] + 1
    # Sides of 16 x 16 / ratio, rounded, times the scale: 23 x 12, 16 x 16 and 11 x 22.
    assert widths.tolist() == [184, 368, 736, 128, 256, 512, 88, 176, 352]
    assert heights.tolist() == [96, 192, 384, 128, 256, 512, 176, 352, 704]


def test_cells_are_a_stride_apart_row_by_row():
    (anchors,) = make_generator()([torch.zeros(1, 1, 2, 3)])
    cells = anchors.tensor.view(2, 3, 9, 4)
    step = torch.tensor([16.0, 0.0, 16.0, 0.0])
    assert torch.equal(cells[0, 2] - cells[0, 1], step.expand(9, 4))
    assert torch.equal(cells[1, 0] - cells[0, 0], step.roll(1).expand(9, 4))


def test_it_is_built_from_a_config(tiny_cfg: CfgNode):
    tiny_cfg.MODEL.ANCHOR_GENERATOR.NAME = "LegacyAnchorGenerator"
    generator = build_anchor_generator(tiny_cfg, [ShapeSpec(channels=16, stride=16)])
    assert isinstance(generator, LegacyAnchorGenerator)
    assert generator.num_anchors == [6]
