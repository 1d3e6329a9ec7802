"""Flow by OpenCV's dense inverse search."""

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode

from fgfa.modeling.flow_net import DIS, build_flow_net


@pytest.fixture
def net(tiny_cfg: CfgNode) -> DIS:
    tiny_cfg.MODEL.FLOW_NET.NAME = "DIS"
    return build_flow_net(tiny_cfg)


def texture(height: int = 128, width: int = 192) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(128 + 8 * (smooth - 128), 0, 255).astype(np.uint8)


def as_batch(net: DIS, *images: np.ndarray) -> torch.Tensor:
    return torch.stack([net.normalize(torch.from_numpy(x.copy()).permute(2, 0, 1)) for x in images])


def test_flow_of_a_shift_is_found(net: DIS):
    image = texture()
    key = as_batch(net, image[16:-16, 16:-16], image[16:-16, 16:-16])
    neighbor = as_batch(net, image[16:-16, 8:-24], image[20:-12, 16:-16])  # 8 right, 4 up
    flow = net(net.shrink(key), net.shrink(neighbor))
    assert flow.shape == (2, 2, 6, 10)
    inner = flow[:, :, 1:-1, 1:-1].mean(dim=(2, 3))
    torch.testing.assert_close(inner, torch.tensor([[0.5, 0.0], [0.0, -0.25]]), atol=0.02, rtol=0)
    assert torch.equal(net.predictions(key, neighbor)[0], flow)


def test_flow_of_a_frame_to_itself_is_zero(net: DIS):
    gray = net.shrink(as_batch(net, texture(120, 180)))
    flow = net(gray, gray)
    assert flow.shape == (1, 2, 8, 12)
    assert flow.abs().max() < 1e-3


def test_nothing_is_learned(net: DIS):
    assert not list(net.parameters())
    assert not net(*[net.shrink(as_batch(net, texture()))] * 2).requires_grad
