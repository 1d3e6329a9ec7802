"""Flow-Guided Feature Aggregation for video object detection, on Detectron2."""

from .config import add_fgfa_config

__all__ = ["add_fgfa_config"]
