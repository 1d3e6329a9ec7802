"""The registry of flow networks."""

from detectron2.config import CfgNode
from detectron2.utils.registry import Registry
from torch import nn

FLOW_NET_REGISTRY = Registry("FLOW_NET")
FLOW_NET_REGISTRY.__doc__ = """
Registry of flow networks, called with the config. A flow network is an `nn.Module` with

* `normalize(image)`: one image, (3, H, W) RGB in 0-255, to the network's own range;
* `forward(key, neighbor)`: normalized images, each (N, 3, H, W), to the flow from the key frame to
  its neighbor, (N, 2, ceil(H/16), ceil(W/16)), channel 0 = x, in cells of 16 x 16 pixels;
* `predictions(key, neighbor)`: a list of such flows, the best first and so what `forward` gives,
  possibly at coarser grids but always in cells of 16 x 16 pixels. All of them are trained.
"""


def build_flow_net(cfg: CfgNode) -> nn.Module:
    """Builds the flow network that `cfg.MODEL.FLOW_NET.NAME` names, without pretrained weights."""
    return FLOW_NET_REGISTRY.get(cfg.MODEL.FLOW_NET.NAME)(cfg)
