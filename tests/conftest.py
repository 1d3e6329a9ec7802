"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
from detectron2.config import CfgNode, get_cfg

from fgfa import add_fgfa_config

ROOT = Path(__file__).parents[1]
TINY = [
    *("MODEL.DEVICE", "cpu", "MODEL.META_ARCHITECTURE", "FGFA"),
    *("MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.BACKBONE.FREEZE_AT", 0),
    *("MODEL.FEATURE_CONV.OUT_CHANNELS", 16, "MODEL.FEATURE_CONV.DILATION", 1),
    *("MODEL.FGFA.EMBEDDING_CHANNELS", [8, 8, 12], "MODEL.FGFA.TEST_RADIUS", 2),
    *("MODEL.FLOW_NET.WIDTH", 0.05, "MODEL.ANCHOR_GENERATOR.SIZES", [[16, 32]]),
    *("MODEL.ROI_HEADS.NUM_CLASSES", 5, "MODEL.RFCN_HEAD.GRID_SIZE", 3),
    *("MODEL.RPN.POST_NMS_TOPK_TRAIN", 40, "MODEL.RPN.POST_NMS_TOPK_TEST", 40),
    *("MODEL.RFCN_HEAD.OHEM_ROIS", 16, "TEST.DETECTIONS_PER_IMAGE", 20),
]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and goldens that the environment variable FGFA_SHARED names."""
    folder = os.environ.get("FGFA_SHARED")
    if not folder:
        pytest.skip("FGFA_SHARED does not name the folder of real data and goldens")
    return Path(folder)


@pytest.fixture
def tiny_cfg() -> CfgNode:
    """FGFA with a random ResNet-18, few channels and 5 classes, for images of 64 x 96 pixels."""
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.merge_from_file(str(ROOT / "configs" / "Base-RFCN.yaml"))
    cfg.merge_from_list(TINY)
    return cfg
