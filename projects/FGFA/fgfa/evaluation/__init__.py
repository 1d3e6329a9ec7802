"""Motion IoU, average precision, Seq-NMS and Detectron2's evaluator for video."""

from fgfa.evaluation.vid_evaluator import ImageNetVIDEvaluator

__all__ = ["ImageNetVIDEvaluator"]
