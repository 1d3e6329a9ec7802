"""Flow-guided aggregation: importing it registers its parts with Detectron2."""

from .backbone import (
    build_dilated_resnet_backbone,
    build_efficientnet_lite_backbone,
    build_timm_backbone,
)
from .embedding import Embedding
from .explanation import Explanation
from .fgfa import FGFA
from .flow_net import FLOW_NET_REGISTRY, build_flow_net
from .frame_window import FrameEncoding, FrameWindow
from .legacy import LegacyAnchorGenerator, LegacyRCNN, LegacyRFCNROIHeads, LegacyRPN
from .res5_map_head import Res5MapROIHeads
from .rfcn_head import RFCNROIHeads
from .rpn_head import RFCNRPNHead
from .video_detector import VideoDetector

__all__ = [
    "FGFA",
    "FLOW_NET_REGISTRY",
    "Embedding",
    "Explanation",
    "FrameEncoding",
    "FrameWindow",
    "LegacyAnchorGenerator",
    "LegacyRCNN",
    "LegacyRFCNROIHeads",
    "LegacyRPN",
    "RFCNROIHeads",
    "RFCNRPNHead",
    "Res5MapROIHeads",
    "VideoDetector",
    "build_dilated_resnet_backbone",
    "build_efficientnet_lite_backbone",
    "build_flow_net",
    "build_timm_backbone",
]
