"""Flow-Guided Feature Aggregation for video object detection, on Detectron2.

Importing it registers the model's parts and the data sets with Detectron2.
"""

from .config import add_fgfa_config, load_config
from .data import register_coco_vid, register_imagenet_vid
from .evaluation import ImageNetVIDEvaluator
from .predictor import VideoPredictor

__all__ = [
    "ImageNetVIDEvaluator",
    "VideoPredictor",
    "add_fgfa_config",
    "load_config",
    "register_coco_vid",
    "register_imagenet_vid",
]
