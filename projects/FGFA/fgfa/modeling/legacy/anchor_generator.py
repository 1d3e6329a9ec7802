"""The anchors of the original, which are whole pixels."""

from collections.abc import Sequence

import torch
from detectron2.modeling import ANCHOR_GENERATOR_REGISTRY
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator


@ANCHOR_GENERATOR_REGISTRY.register()
class LegacyAnchorGenerator(DefaultAnchorGenerator):
    """Anchors with rounded sides, by aspect ratio first and then by size.

    The anchors of a cell are made from its own square, whose sides are rounded for each aspect
    ratio and then multiplied. With a stride of 16, sizes 128, 256 and 512 are the scales 8, 16 and
    32 of the original (`rpn/generate_anchor.py`).
    """

    def generate_cell_anchors(
        self, sizes: Sequence[float] = (128, 256, 512), aspect_ratios: Sequence[float] = (0.5, 1, 2)
    ) -> torch.Tensor:
        """Anchors (ratios x sizes, 4) of the first cell, both corners inside, in pixels.

        Args:
            sizes: square roots of the anchors' areas before rounding, pixels.
            aspect_ratios: height / width.
        """
        (stride,) = self.strides
        center = (stride - 1) / 2
        anchors = []
        for ratio in aspect_ratios:
            width = round((stride**2 / ratio) ** 0.5)
            height = round(width * ratio)
            for size in sizes:
                reach_x, reach_y = ((side * size / stride - 1) / 2 for side in (width, height))
                anchors.append(
                    [center - reach_x, center - reach_y, center + reach_x, center + reach_y]
                )
        return torch.tensor(anchors)
