"""Conventions of the original that differ from Detectron2's, for its weights and its numbers.

They are on where a config names the classes of this package (configs/imagenet_vid/rfcn_R_101.yaml).
"""

from .anchor_generator import LegacyAnchorGenerator
from .rcnn import LegacyRCNN
from .rfcn_head import LegacyRFCNROIHeads
from .rpn import LegacyRPN

__all__ = ["LegacyAnchorGenerator", "LegacyRCNN", "LegacyRFCNROIHeads", "LegacyRPN"]
