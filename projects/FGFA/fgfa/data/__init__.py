"""Data sets of videos: what is on disk, which frames to read, the mapper and the loaders.

Importing it registers the built-in data sets.
"""

from fgfa.data import builtin as _builtin  # noqa: F401
from fgfa.data.coco_vid import register_coco_vid
from fgfa.data.imagenet_vid import IMAGENET_VID_CLASSES, IMAGENET_VID_WNIDS, register_imagenet_vid
from fgfa.data.loaders import build_test_loader, build_train_loader
from fgfa.data.mapper import VideoDatasetMapper
from fgfa.data.samplers import VideoInferenceSampler
from fgfa.data.video_frames import VideoFrames

__all__ = [
    "IMAGENET_VID_CLASSES",
    "IMAGENET_VID_WNIDS",
    "VideoDatasetMapper",
    "VideoFrames",
    "VideoInferenceSampler",
    "build_test_loader",
    "build_train_loader",
    "register_coco_vid",
    "register_imagenet_vid",
]
