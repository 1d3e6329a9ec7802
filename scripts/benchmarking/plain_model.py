"""FGFA as one would write it first: whole frames, whole windows, PyTorch's own operators."""

from collections.abc import Sequence

import torch
from detectron2.structures import ImageList, Instances
from torch import Tensor

from benchmarking.compositions import grid_sample_warp, whole_window
from fgfa.layers import stay_inside
from fgfa.modeling import FGFA, FrameEncoding, FrameWindow
from fgfa.modeling.scaled_images import ScaledImageList
from fgfa.modeling.window_flow import FlowFunctions, window_flow


class _PlainWindow(FrameWindow):
    """Frames as they come, each by itself, gathered by torch.stack."""

    def __init__(self, radius: int, causal: bool, stride: int) -> None:
        super().__init__(radius, causal, stride)
        self._frames: dict[int, FrameEncoding] = {}

    def add(self, frame: FrameEncoding) -> None:
        self._frames[self.end] = frame
        self.image_size = frame.image_size
        self.end += 1

    def maps(self, name: str, numbers: Sequence[int]) -> Tensor:
        return torch.stack([getattr(self._frames[number], name) for number in numbers])

    def move_to(self, key: int) -> list[int]:
        numbers = self.around(key)
        self._frames = {n: frame for n, frame in self._frames.items() if n >= numbers[0]}
        return numbers


def _flow_of_window(
    flow_net: FlowFunctions, frames: FrameWindow, key: int, window: Sequence[int]
) -> Tensor:
    """Does what `pairwise_flow` does, with all pairs at once."""
    neighbors = frames.maps("flow_neighbor", window)
    return flow_net.forward(frames.maps("flow_image", [key]).expand_as(neighbors), neighbors)


class PlainVideo:
    """One video on its plain way through an FGFA model, in place of `FGFA.start_video`.

    Features are made once a frame and kept, as the original does. The flow network takes all pairs
    of a window at once, as concatenated images; its maps are warped with grid_sample and summed by
    PyTorch's operators.
    """

    def __init__(self, model: FGFA) -> None:
        self._model = model
        self._window = _PlainWindow(model.test_radius, model.causal, model.test_stride)
        mode = model.flow_mode
        self._window_flow = _flow_of_window if mode == "pairwise" else window_flow(mode)
        self._flow_net = FlowFunctions(as_key=lambda image: image, forward=self._flow)

    @torch.no_grad()
    def add(self, image: Tensor) -> None:
        """See `VideoDetector.add`."""
        model = self._model
        batch = model.preprocess_image([{"image": image}])
        feature = model.backbone(batch.tensor)[model.feature_name]
        flow_image = self._flow_image(image)
        encoding = FrameEncoding(
            feature[0], model.embedding(feature)[0], flow_image, flow_image, batch.image_sizes[0]
        )
        self._window.add(encoding)

    @torch.no_grad()
    def detect(self, keys: Sequence[int]) -> list[Instances]:
        """See `VideoDetector.detect`."""
        return [self._detect(key) for key in keys]

    def _flow_image(self, image: Tensor) -> Tensor:
        model = self._model
        rgb = image.flip(0) if model.input_format == "BGR" else image
        normalized = model.flow_net.normalize(rgb.to(model.device))
        backbone = model.backbone
        padded = ImageList.from_tensors(
            [normalized],
            backbone.size_divisibility,
            padding_constraints=backbone.padding_constraints,
        )
        return padded.tensor[0]

    def _flow(self, keys: Tensor, neighbors: Tensor) -> Tensor:
        flow = self._model.flow_net.predictions(keys, neighbors)[0]
        return stay_inside(flow) if self._model.warp_padding == "border" else flow

    def _detect(self, key: int) -> Instances:
        numbers = self._window.move_to(key)
        flow = self._window_flow(self._flow_net, self._window, key, numbers)
        aggregated = whole_window(
            self._window.maps("feature", numbers),
            self._window.maps("embedding", numbers),
            flow,
            grid_sample_warp(
                self._window.maps("embedding", [key]), flow[self._window.key_position, None]
            ),
        )
        images = ScaledImageList(aggregated.new_empty(1, 3, 0, 0), [self._window.image_size], [1.0])
        features = {self._model.feature_name: aggregated}
        proposals, _ = self._model.proposal_generator(images, features, None)
        (instances,), _ = self._model.roi_heads(images, features, proposals, None)
        return instances
