"""FlowNet Simple (Dosovitskiy et al., ICCV 2015) in the form in which FGFA uses it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.layers import Conv2d
from torch import nn

from fgfa.errors import InputError

from .registry import FLOW_NET_REGISTRY, FlowNet

LEAKY_SLOPE = 0.1


@FLOW_NET_REGISTRY.register()
class FlowNetS(FlowNet):
    """FlowNetS on half-size images, with its finest prediction at stride 16.

    It follows `get_flownet` of the authors' code, layer by layer. Layers have the names of the
    published weights, but for `conv1` (there `flow_conv1`) and `predict_flow6` to `predict_flow2`
    (there `Convolution1` to `Convolution5`). The number in a name is the base-2 logarithm of the
    layer's stride with respect to the half-size images.
    """

    PARTS_OF_A_FRAME = ("conv1",)

    @configurable
    def __init__(
        self,
        *,
        width: float = 1.0,
        flow_scale: float = 2.5,
        pixel_mean: Sequence[float] = (123.15, 115.90, 103.06),
        finest_stride: int = 16,
    ) -> None:
        """
        Args:
            width: factor on the channel counts of all hidden layers; 1 is the original.
            flow_scale: cells of 16 x 16 pixels in a unit of the predictions. FlowNet learns flow
                in units of 20 pixels of its input, which has half the image's size:
                20 * 2 / 16 = 2.5.
            pixel_mean: mean of the training images in 0-255, RGB.
            finest_stride: stride of the last prediction in pixels of the image. With 16 it is made
                on averaged features; with 8, as in the FlowNet paper, and the flow is averaged.

        Raises:
            InputError: if `finest_stride` is neither.
        """
        super().__init__()
        if finest_stride not in (8, 16):
            raise InputError(f"MODEL.FLOW_NET.FINEST_STRIDE is {finest_stride}; set it to 8 or 16")
        self.finest_stride = finest_stride
        self.flow_scale = flow_scale
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(3, 1, 1), persistent=False)
        c64, c128, c256, c512, c1024 = (max(1, round(c * width)) for c in (64, 128, 256, 512, 1024))

        self.conv1 = _conv(6, c64, kernel_size=7, stride=2, kind=_PairConv2d)
        self.conv2 = _conv(c64, c128, kernel_size=5, stride=2)
        self.conv3 = _conv(c128, c256, kernel_size=5, stride=2)
        self.conv3_1 = _conv(c256, c256)
        self.conv4 = _conv(c256, c512, stride=2)
        self.conv4_1 = _conv(c512, c512)
        self.conv5 = _conv(c512, c512, stride=2)
        self.conv5_1 = _conv(c512, c512)
        self.conv6 = _conv(c512, c1024, stride=2)
        self.conv6_1 = _conv(c1024, c1024)

        self.predict_flow6 = _flow_head(c1024)
        self.upsample_flow6to5, self.deconv5 = _double(2, 2), _double(c1024, c512)
        self.predict_flow5 = _flow_head(c512 + c512 + 2)
        self.upsample_flow5to4, self.deconv4 = _double(2, 2), _double(c512 + c512 + 2, c256)
        self.predict_flow4 = _flow_head(c512 + c256 + 2)
        self.upsample_flow4to3, self.deconv3 = _double(2, 2), _double(c512 + c256 + 2, c128)
        self.predict_flow3 = _flow_head(c256 + c128 + 2)
        self.upsample_flow3to2, self.deconv2 = _double(2, 2), _double(c256 + c128 + 2, c64)
        self.predict_flow2 = _flow_head(c128 + c64 + 2)
        self._initialize()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, object]:
        return {
            "width": cfg.MODEL.FLOW_NET.WIDTH,
            "pixel_mean": cfg.MODEL.FLOW_NET.PIXEL_MEAN,
            "finest_stride": cfg.MODEL.FLOW_NET.FINEST_STRIDE,
        }

    def normalize(self, image: torch.Tensor) -> torch.Tensor:
        """Subtracts the mean and divides by 255."""
        return (image - self.pixel_mean) / 255

    def predictions(self, key: torch.Tensor, neighbor: torch.Tensor) -> list[torch.Tensor]:
        """Gives the flow at strides 16, 16, 32, 64 and 128, finest first."""
        return self._predictions(self.conv1(_halve(torch.cat([key, neighbor], dim=1))))

    def shrink(self, image: torch.Tensor) -> torch.Tensor:
        """Half-size images."""
        return _halve(image)

    def as_key(self, shrunk: torch.Tensor) -> torch.Tensor:
        """The first convolution's response to key frames alone, at half their size."""
        return self.conv1.of_key(shrunk)

    def as_neighbor(self, shrunk: torch.Tensor) -> torch.Tensor:
        """The first convolution's response to neighbors alone, at half their size."""
        return self.conv1.of_neighbor(shrunk)

    def forward(self, keys: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
        """See `FlowNet.forward`."""
        return self._predictions(self.conv1.activation(keys + neighbors))[0]

    def _predictions(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The predictions of `predictions` from what `conv1` gives."""
        skip2 = self.conv2(x)
        skip3 = self.conv3_1(self.conv3(skip2))
        skip4 = self.conv4_1(self.conv4(skip3))
        skip5 = self.conv5_1(self.conv5(skip4))
        x = self.conv6_1(self.conv6(skip5))

        flow6 = self.predict_flow6(x)
        x = _merge(skip5, self.deconv5(x), self.upsample_flow6to5(flow6))
        flow5 = self.predict_flow5(x)
        x = _merge(skip4, self.deconv4(x), self.upsample_flow5to4(flow5))
        flow4 = self.predict_flow4(x)
        x = _merge(skip3, self.deconv3(x), self.upsample_flow4to3(flow4))
        flow3 = self.predict_flow3(x)
        x = _merge(skip2, self.deconv2(x), self.upsample_flow3to2(flow3))
        if self.finest_stride == 16:
            flow2 = self.predict_flow2(_halve(x))
        else:
            flow2 = _halve(self.predict_flow2(x))
        return [flow * self.flow_scale for flow in (flow2, flow3, flow4, flow5, flow6)]

    def _initialize(self) -> None:
        """MSRA for the hidden layers; a new network starts at no motion, upsampled bilinearly."""
        for name, layer in self.named_children():
            nn.init.zeros_(layer.bias)
            if name.startswith("predict_flow"):
                nn.init.zeros_(layer.weight)
            elif name.startswith("upsample_flow"):
                line = torch.tensor([0.25, 0.75, 0.75, 0.25])
                layer.weight.data = torch.einsum("ij,y,x->ijyx", torch.eye(2), line, line)
            elif name.startswith("deconv"):
                # A 4x4 kernel at stride 2 has 2x2 taps for each output cell.
                gain = nn.init.calculate_gain("leaky_relu", LEAKY_SLOPE)
                nn.init.normal_(layer.weight, std=gain / (4 * layer.in_channels) ** 0.5)
            else:
                nn.init.kaiming_normal_(layer.weight, a=LEAKY_SLOPE)


class _PairConv2d(Conv2d):
    """The first layer. It is linear: its response to a pair is the sum of those to its frames."""

    def of_key(self, image: torch.Tensor) -> torch.Tensor:
        return self._response(image, self.weight[:, :3], self.bias)

    def of_neighbor(self, image: torch.Tensor) -> torch.Tensor:
        return self._response(image, self.weight[:, 3:], None)

    def _response(
        self, image: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        return F.conv2d(image, weight, bias, self.stride, self.padding)


def _conv(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int = 3,
    stride: int = 1,
    kind: type[Conv2d] = Conv2d,
) -> Conv2d:
    return kind(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        activation=nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
    )


def _flow_head(in_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, 2, kernel_size=3, padding=1)


def _double(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Doubles height and width, with a border of one cell more on every side."""
    return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2)


def _halve(x: torch.Tensor) -> torch.Tensor:
    """2x2 averages, ceil convention; windows on the border divide by the cells inside.

    Their gradients are divided by four nevertheless, as MXNet does.
    """
    averages = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    if not averages.requires_grad:
        return averages
    height, width = x.shape[-2:]
    fourths = F.avg_pool2d(F.pad(x, (0, width % 2, 0, height % 2)), kernel_size=2)
    return fourths + (averages - fourths).detach()


def _merge(skip: torch.Tensor, doubled: torch.Tensor, doubled_flow: torch.Tensor) -> torch.Tensor:
    """Joins what the layers of one stride know, cropped at (1, 1) to the skip connection's size."""
    height, width = skip.shape[-2:]
    doubled = F.leaky_relu(doubled, LEAKY_SLOPE, inplace=True)
    cropped = [x[..., 1 : height + 1, 1 : width + 1] for x in (doubled, doubled_flow)]
    return torch.cat([skip, *cropped], dim=1)
