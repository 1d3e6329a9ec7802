"""The two programs of an exported FGFA: what runs once a frame, and once a window of frames."""

import copy
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import ExportedProgram

from fgfa.errors import InputError
from fgfa.layers import aggregate, flow_warp
from fgfa.modeling import FGFA
from fgfa.modeling.packed_convolution import unpack_convolutions

from .detector import Detections, ProposalProgram, roi_program
from .nms import exportable_nms
from .plan import ExportPlan
from .selection import clip, has_area


class FrameProgram(nn.Module):
    """Maps an image (3, H, W), uint8, to what is kept of it.

    Does what `FGFA.encode` does with one frame, but for `ImageList`, which computes paddings in
    tensors, so that torch.export takes them for unknown.
    """

    def __init__(self, model: FGFA, plan: ExportPlan) -> None:
        """
        Args:
            model: the model.
            plan: the size of the image.
        """
        super().__init__()
        self.model = _with_parts(model, "backbone", "embedding")
        self.model.flow_net = _with_parts(model.flow_net, *model.flow_net.PARTS_OF_A_FRAME)
        height, width = plan.input_size
        blank = {"image": torch.zeros(3, height, width)}
        padded = model.preprocess_image([blank]).tensor.shape
        self.padding = (0, padded[-1] - width, 0, padded[-2] - height)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """
        Returns:
            The feature (C, h, w), the embedding (E, h, w), and what the flow network makes of the
            image as a key frame and as a neighbor.
        """
        model = self.model
        normalized = (image - model.pixel_mean) / model.pixel_std
        feature = model.backbone(F.pad(normalized, self.padding)[None])[model.feature_name]
        rgb = image.flip(0) if model.input_format == "BGR" else image
        flow_image = F.pad(model.flow_net.normalize(rgb), self.padding)[None]
        shrunk = model.flow_net.shrink(flow_image)
        flow_key, flow_neighbor = (
            role(shrunk)[0] for role in (model.flow_net.as_key, model.flow_net.as_neighbor)
        )
        return feature[0], model.embedding(feature)[0], flow_key, flow_neighbor


class WindowProgram(nn.Module):
    """Maps the kept tensors of a window's frames to the detections in the key frame."""

    def __init__(self, model: FGFA, plan: ExportPlan) -> None:
        """
        Args:
            model: the model.
            plan: sizes, and the place of the key frame.

        Raises:
            InputError: where a part of the model cannot be exported.
        """
        super().__init__()
        self.model = _with_parts(model, "flow_net")
        self.plan = plan
        scale = 1.0 if plan.resized_by_factor is None else plan.resized_by_factor
        self.propose = ProposalProgram(model.proposal_generator, plan.input_size)
        self.detect = roi_program(model.roi_heads, plan.input_size, scale)

    def forward(
        self, features: Tensor, embeddings: Tensor, flow_keys: Tensor, flow_neighbors: Tensor
    ) -> Detections:
        """
        Args:
            features: shape (T, C, h, w), in time order; the ends of a video repeat.
            embeddings: shape (T, E, h, w).
            flow_keys: shape (T, ...), of which that of the key frame is used.
            flow_neighbors: shape (T, ...).

        Returns:
            Boxes (N, 4), XYXY in pixels of the frame; scores (N,) and classes (N,), best first.
        """
        key = self.plan.key
        flow = self.model._flow(flow_keys[key].expand_as(flow_neighbors), flow_neighbors)
        key_embedding = flow_warp(embeddings[key : key + 1], flow[key : key + 1])
        feature = aggregate(features, embeddings, flow, key_embedding)
        return self._to_frame_pixels(*self.detect(feature, self.propose(feature)))

    def _to_frame_pixels(self, boxes: Tensor, scores: Tensor, classes: Tensor) -> Detections:
        """Does what `fgfa.modeling.postprocess.to_frame_pixels` does."""
        boxes, plan = boxes.float(), self.plan
        if plan.resized_by_factor is not None:
            return boxes / plan.resized_by_factor, scores, classes
        (height, width), (input_height, input_width) = plan.frame_size, plan.input_size
        factors = boxes.new_tensor([width / input_width, height / input_height])
        boxes = clip(boxes * factors.repeat(2), plan.frame_size)
        kept = has_area(boxes).nonzero().squeeze(1)
        return boxes[kept], scores[kept], classes[kept]


def export_programs(model: FGFA, plan: ExportPlan) -> tuple[ExportedProgram, ExportedProgram]:
    """The program of a frame and that of a window, on the device of the model.

    Args:
        model: its convolutions are unpacked, where they were packed for speed.
        plan: what the programs are made for.

    Raises:
        InputError: where a part of the model cannot be exported.
    """
    unpack_convolutions(model)
    frame, window = FrameProgram(model, plan).eval(), WindowProgram(model, plan).eval()
    image = torch.zeros(3, *plan.input_size, dtype=torch.uint8, device=model.device)
    with torch.no_grad():
        # Stacked as at run time, which decides about their memory format.
        kept = [torch.stack([x] * plan.window) for x in frame(image)]
    heads, rpn = model.roi_heads, model.proposal_generator
    return (
        _export(frame, [image], [model.backbone, model.embedding]),
        _export(window, kept, [model.flow_net, rpn, heads]),
    )


@torch.no_grad()
def kept_of(model: FGFA, image: Tensor) -> list[Tensor]:
    """What the model itself makes of an image in the place of the program of a frame."""
    (frame,) = model.encode([image])
    (flow_key,) = model.flow_net.as_key(frame.flow_image[None])
    return [frame.feature, frame.embedding, flow_key, frame.flow_neighbor]


@torch.no_grad()
def _export(program: nn.Module, inputs: list[Tensor], parts: list[nn.Module]) -> ExportedProgram:
    try:
        with exportable_nms(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision and Detectron2, about their own calls
            exported = torch.export.export(program, tuple(inputs), strict=False)
    except RuntimeError as error:
        names = ", ".join(type(part).__name__ for part in parts)
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{names} cannot be exported by torch.export: {reason}") from error
    exported.example_inputs = None  # they would go into the file, and are larger than the weights
    return exported


def _with_parts(module: nn.Module, *names: str) -> nn.Module:
    """A copy that shares the named submodules and has no others, which would go into the file."""
    copied = copy.copy(module)
    copied._modules = {name: module._modules[name] for name in names}
    return copied
