"""FlowNet-S of PyTorch implementations, against a forward pass of their own; no real file."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fgfa.convert.flownet import SOURCES
from fgfa.convert.name_table import choose_source, rename
from fgfa.errors import InputError
from fgfa.modeling.flow_net import FlowNetS

DIVISOR = 16
Arrays = dict[str, np.ndarray]
layouts = pytest.mark.parametrize("layout", ["pytorch", "mmtracking", "mega"])


class Reference:
    """FlowNet-S as the PyTorch implementations compute it, from weights by our names."""

    def __init__(self, weights: Arrays) -> None:
        self.weights = {name: torch.from_numpy(array) for name, array in weights.items()}

    def layer(self, name: str, x: torch.Tensor, norm: torch.nn.Module | None = None):
        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        if name.startswith(("deconv", "upsample")):
            x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
        else:
            stride = 2 if name.startswith("conv") and not name.endswith("_1") else 1
            x = F.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)
        x = x if norm is None else norm(x)
        return F.leaky_relu(x, 0.1) if "conv" in name else x

    def last_features(self, x: torch.Tensor, norms: Mapping[str, torch.nn.Module]) -> torch.Tensor:
        """What the last prediction is made from."""
        skips = {}
        for name in ("1", "2", "3", "3_1", "4", "4_1", "5", "5_1", "6", "6_1"):
            x = skips[name[0]] = self.layer(f"conv{name}", x, norms.get(f"conv{name}"))
        for level in (5, 4, 3, 2):
            flow = self.layer(f"predict_flow{level + 1}", x)
            skip = skips[str(level)]
            height, width = skip.shape[-2:]
            flow = self.layer(f"upsample_flow{level + 1}to{level}", flow)
            x = self.layer(f"deconv{level}", x)
            x = torch.cat([skip, x[..., :height, :width], flow[..., :height, :width]], dim=1)
        return x


def converted_net(arrays: Arrays, finest_stride: int) -> FlowNetS:
    source = choose_source(arrays, SOURCES, "file.pth")
    weights = rename(source.prepare(arrays), source.rules, "file.pth")
    net = FlowNetS(width=1 / DIVISOR, finest_stride=finest_stride)
    net.load_state_dict(
        {name.removeprefix("flow_net."): torch.from_numpy(v) for name, v in weights.items()}
    )
    return net.eval()


def make_pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return tuple(torch.randn(2, 1, 3, 160, 224))


@layouts
@torch.no_grad()
def test_flow_is_that_of_the_implementation(flow_layouts, layout: str):
    weights = flow_layouts[layout].weights(DIVISOR)
    reference = Reference(weights)
    pair = make_pair()
    features = reference.last_features(F.avg_pool2d(torch.cat(pair, dim=1), 2), {})
    if layout == "mega":  # predicts on averaged features, as the original
        stride, flow = 16, reference.layer("predict_flow2", F.avg_pool2d(features, 2))
    else:
        stride, flow = 8, F.avg_pool2d(reference.layer("predict_flow2", features), 2)
    net = converted_net(flow_layouts[layout].named(weights), stride)
    assert flow.std() > 0.1
    torch.testing.assert_close(net.predictions(*pair)[0], 2.5 * flow, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_batch_norms_are_folded_into_convolutions(flow_layouts):
    weights = flow_layouts["pytorch"].weights(DIVISOR)
    weights = {name: array for name, array in weights.items() if not name.endswith(".bias")}
    arrays, norms = flow_layouts["pytorch"].named(weights), {}
    random = np.random.default_rng(1)
    for layer in [name.removesuffix(".weight") for name in weights if name.startswith("conv")]:
        channels = len(weights[f"{layer}.weight"])
        norm = {"weight": 1 + 0.3 * random.standard_normal(channels)}
        norm |= {kind: 0.3 * random.standard_normal(channels) for kind in ("bias", "running_mean")}
        norm |= {"running_var": 0.5 + random.random(channels), "num_batches_tracked": np.array(7)}
        norms[layer] = torch.nn.BatchNorm2d(channels).eval()
        norms[layer].load_state_dict({k: torch.from_numpy(v).float() for k, v in norm.items()})
        arrays |= {f"{layer}.1.{kind}": array.astype(np.float32) for kind, array in norm.items()}
    pair = make_pair()
    reference = Reference(weights)
    features = reference.last_features(F.avg_pool2d(torch.cat(pair, dim=1), 2), norms)
    flow = F.avg_pool2d(reference.layer("predict_flow2", features), 2)
    net = converted_net(arrays, finest_stride=8)
    torch.testing.assert_close(net.predictions(*pair)[0], 2.5 * flow, atol=1e-4, rtol=1e-4)


def test_average_is_what_mmtracking_makes_by_enlarging_and_reducing():
    flow = torch.randn(1, 2, 10, 14, generator=torch.Generator().manual_seed(0))
    in_pixels = 8 * 5 * F.interpolate(flow, scale_factor=8, mode="bilinear")
    in_cells = F.interpolate(in_pixels, scale_factor=1 / 16, mode="bilinear") / 16
    torch.testing.assert_close(2.5 * F.avg_pool2d(flow, 2), in_cells)


def test_batch_norm_of_another_size_is_reported():
    arrays = {"conv2.0.weight": np.ones((4, 2, 5, 5), np.float32)}
    arrays |= {f"conv2.1.{kind}": np.ones(4) for kind in ("weight", "bias", "running_mean")}
    arrays["conv2.1.running_var"] = np.ones(3)
    source = SOURCES[0]
    with pytest.raises(InputError, match=r"conv2\.1\.weight.* not known"):
        rename(source.prepare(arrays), source.rules, "file.pth")


@layouts
def test_full_size_loads_strictly(flow_layouts, load_strictly, layout: str):
    named = flow_layouts[layout].named(flow_layouts[layout].weights(divisor=1))
    source = load_strictly(named, SOURCES)
    assert source.weights_key == "MODEL.FLOW_NET.WEIGHTS"


def test_biases_of_flownet2_pytorch_are_kept(flow_layouts):
    weights = flow_layouts["mega"].weights(DIVISOR)
    for level in (5, 4, 3, 2):
        del weights[f"upsample_flow{level + 1}to{level}.bias"]
    net = converted_net(flow_layouts["pytorch"].named(weights), finest_stride=8)
    torch.testing.assert_close(net.deconv5.bias.data, torch.from_numpy(weights["deconv5.bias"]))
    assert not net.upsample_flow6to5.bias.any()
