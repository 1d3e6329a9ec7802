"""Fixtures for converters of whole models."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torchvision
from detectron2.modeling import build_model
from detectron2.structures import Instances

from fgfa import load_config
from fgfa.convert.name_table import Source, choose_source, rename

ROOT = Path(__file__).parents[2]
NARROW = [
    *("MODEL.RESNETS.RES2_OUT_CHANNELS", 16, "MODEL.RESNETS.WIDTH_PER_GROUP", 4),
    *("MODEL.FEATURE_CONV.OUT_CHANNELS", 16, "MODEL.FLOW_NET.WIDTH", 0.05),
    *("MODEL.ROI_BOX_HEAD.FC_DIM", 16, "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0),
]
Arrays = dict[str, np.ndarray]


@pytest.fixture
def load_strictly() -> Callable[[Mapping[str, np.ndarray], Sequence[Source]], Source]:
    """A function that loads a file's arrays into the model that they fit, and gives their kind."""

    def load(arrays: Mapping[str, np.ndarray], sources: Sequence[Source]) -> Source:
        source = choose_source(arrays, sources, "file.pth")
        converted = rename(source.prepare(arrays), source.rules, "file.pth")
        cfg = load_config(str(ROOT / source.config), ["MODEL.DEVICE", "meta"])
        with torch.device("meta"):
            model = build_model(cfg)
        part = model.get_submodule(source.part.rstrip("."))
        weights = {name.removeprefix(source.part): value for name, value in converted.items()}
        part.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, assign=True)
        return source

    return load


@pytest.fixture
def run_small() -> Callable[[Source], Instances]:
    """A function that gives the detections of a narrow model of a file's config in a video."""

    def run(source: Source) -> Instances:
        torch.manual_seed(0)
        model = build_model(load_config(str(ROOT / source.config), NARROW)).eval()
        frames = [torch.randint(0, 256, (3, 70, 100), dtype=torch.uint8) for _ in range(2)]
        item = {"frame_index": 0, "new_frames": frames, "height": 140, "width": 200}
        (output,) = model([item])
        return output["instances"]

    return run


@pytest.fixture(scope="session")
def resnet_arrays() -> Callable[[int], Arrays]:
    """A function that gives zeros by the names and shapes of torchvision's ResNet of a depth."""

    def of_depth(depth: int) -> Arrays:
        with torch.device("meta"):
            state = getattr(torchvision.models, f"resnet{depth}")().state_dict()
        return {
            name: np.zeros(value.shape, np.float32)
            for name, value in state.items()
            if not name.startswith("fc.")
        }

    return of_depth


@pytest.fixture(scope="session")
def flow_layouts() -> "dict[str, FlowLayout]":
    """What FlowNet-S looks like in files of several implementations."""
    return {
        "pytorch": FlowLayout(_pytorch_name, has_all_biases=False),
        "mmtracking": FlowLayout(_mmtracking_name, has_all_biases=False),
        "mega": FlowLayout(_mega_name, has_all_biases=True),
    }


class FlowLayout(NamedTuple):
    """Names of FlowNet-S's layers, and whether those that predict or upsample have biases."""

    name: Callable[[str], str]
    has_all_biases: bool

    def weights(self, divisor: int) -> Arrays:
        """Random weights by our names of layers; all channels but flow's are divided."""
        random = np.random.default_rng(0)
        weights = {}
        for layer, shape in _flow_shapes(divisor).items():
            transposed = layer.startswith(("deconv", "upsample"))
            taps = 4 * shape[0] if transposed else math.prod(shape[1:])
            kernel = random.standard_normal(shape, np.float32)
            weights[f"{layer}.weight"] = math.sqrt(2 / taps) * kernel
            if self.has_all_biases or layer.startswith("conv"):
                bias = random.standard_normal(shape[transposed], np.float32)
                weights[f"{layer}.bias"] = bias / 10
        return weights

    def named(self, weights: Arrays, prefix: str = "") -> Arrays:
        """The same by the names in the file."""
        layers = [name.rpartition(".") for name in weights]
        arrays = weights.values()
        return {
            f"{prefix}{self.name(layer)}.{kind}": array
            for (layer, _, kind), array in zip(layers, arrays, strict=True)
        }


def _pytorch_name(layer: str) -> str:
    if layer.startswith("upsample_flow"):
        return f"upsampled_flow{layer[-4]}_to_{layer[-1]}"
    return layer if layer.startswith("predict_flow") else f"{layer}.0"


def _mmtracking_name(layer: str) -> str:
    if layer.startswith("upsample_flow"):
        return f"upsample_flow{layer[-1]}.conv"
    if layer.startswith("conv"):
        return f"{layer[:5]}.{int(layer.endswith('_1'))}.conv"
    return "predict_flow.conv" if layer == "predict_flow2" else f"{layer}.conv"


def _mega_name(layer: str) -> str:
    if layer.startswith("predict_flow"):
        return f"Convolution{7 - int(layer[-1])}"
    return "flow_conv1" if layer == "conv1" else layer


def _flow_shapes(divisor: int) -> dict[str, tuple[int, ...]]:
    c64, c128, c256, c512, c1024 = (c // divisor for c in (64, 128, 256, 512, 1024))
    c1026, c770, c386, c194 = 2 * c512 + 2, c512 + c256 + 2, c256 + c128 + 2, c128 + c64 + 2
    shapes = {"conv1": (c64, 6, 7, 7), "conv2": (c128, c64, 5, 5), "conv3": (c256, c128, 5, 5)}
    shapes |= {"conv3_1": (c256, c256, 3, 3), "conv4": (c512, c256, 3, 3)}
    shapes |= dict.fromkeys(("conv4_1", "conv5", "conv5_1"), (c512, c512, 3, 3))
    shapes |= {"conv6": (c1024, c512, 3, 3), "conv6_1": (c1024, c1024, 3, 3)}
    inputs = {6: c1024, 5: c1026, 4: c770, 3: c386, 2: c194}
    shapes |= {f"predict_flow{level}": (2, c, 3, 3) for level, c in inputs.items()}
    outputs = {5: c512, 4: c256, 3: c128, 2: c64}
    shapes |= {f"deconv{n}": (inputs[n + 1], c, 4, 4) for n, c in outputs.items()}
    return shapes | {f"upsample_flow{n + 1}to{n}": (2, 2, 4, 4) for n in outputs}
