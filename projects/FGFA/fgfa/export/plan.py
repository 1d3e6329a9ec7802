"""What is fixed in exported programs."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import transforms as T

from fgfa.data.resizing import build_augmentation, image_scale
from fgfa.errors import InputError


@dataclass(frozen=True)
class ExportPlan:
    """The sizes and the window that programs are made for.

    Attributes:
        frame_size: height and width of the video's frames, pixels; boxes are in these pixels.
        input_size: height and width that frames are resized to, pixels.
        resized_by_factor: the factor of that, where the config resizes by a factor.
        window: frames in the window of a key frame, T.
        key: position of the key frame among them.
        frame_step: distance of the frames of a window from each other, in frames of the video.
    """

    frame_size: tuple[int, int]
    input_size: tuple[int, int]
    resized_by_factor: float | None
    window: int
    key: int
    frame_step: int = 1

    @classmethod
    def from_config(cls, cfg: CfgNode, frame_size: tuple[int, int]) -> "ExportPlan":
        """The plan for frames of (height, width), resized as in evaluation.

        Raises:
            InputError: if flow is composed, from steps that a window alone does not have, or comes
                from OpenCV, or if the model does not run in float32.
        """
        fgfa = cfg.MODEL.FGFA
        for key, exportable in (("FLOW_MODE", "pairwise"), ("TEST_PRECISION", "float32")):
            if fgfa[key] != exportable:
                raise InputError(
                    f"MODEL.FGFA.{key} {fgfa[key]} cannot be exported; set it to {exportable}"
                )
        if cfg.MODEL.META_ARCHITECTURE == "FGFA" and cfg.MODEL.FLOW_NET.NAME == "DIS":
            raise InputError(
                "MODEL.FLOW_NET.NAME DIS cannot be exported, since OpenCV computes it; train with "
                "FlowNetS to export"
            )
        resized = to_input(np.zeros((*frame_size, 3), np.uint8), cfg)
        return cls(
            frame_size,
            tuple(resized.shape[1:]),
            image_scale(build_augmentation(cfg, is_train=False), frame_size),
            window=fgfa.TEST_RADIUS + 1 if fgfa.CAUSAL else 2 * fgfa.TEST_RADIUS + 1,
            key=fgfa.TEST_RADIUS,
            frame_step=fgfa.TEST_STRIDE,
        )

    @property
    def reach(self) -> int:
        """Frames of the video from the first to the last of a window."""
        return (self.window - 1) * self.frame_step + 1

    @property
    def lookahead(self) -> int:
        """Frames of the video behind the key frame that a window reaches to."""
        return (self.window - 1 - self.key) * self.frame_step

    def describe(self) -> dict[str, Any]:
        """Attributes and properties, for a JSON file."""
        return {**asdict(self), "reach": self.reach, "lookahead": self.lookahead}


def to_input(frame: np.ndarray, cfg: CfgNode) -> torch.Tensor:
    """Resizes a BGR frame (H, W, 3) as in evaluation, and gives it as the image of a program."""
    image = frame[:, :, ::-1] if cfg.INPUT.FORMAT == "RGB" else frame
    resized = T.AugInput(np.ascontiguousarray(image))
    T.AugmentationList(build_augmentation(cfg, is_train=False))(resized)
    return torch.from_numpy(np.ascontiguousarray(resized.image.transpose(2, 0, 1)))
