"""Packed convolutions against the convolutions that they stand for."""

import copy

import pytest
import torch
from detectron2.layers import Conv2d
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fgfa.modeling.packed_convolution import (
    can_be_packed,
    pack,
    unpack_convolutions,
)

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN"
)


def packed_twin(module: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    module.requires_grad_(False)
    twin = copy.deepcopy(module)
    pack(twin, dtype)
    assert twin.weight is None
    return twin


@given(
    channels=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(5, 20), st.integers(5, 20)),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
    transposed=st.booleans(),
    batch=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_results_are_those_of_the_convolution(
    channels: tuple[int, int],
    size: tuple[int, int],
    kernel: int,
    stride: int,
    dilation: int,
    bias: bool,
    transposed: bool,
    batch: int,
):
    options = {"stride": stride, "padding": kernel // 2, "dilation": dilation, "bias": bias}
    conv = (nn.ConvTranspose2d if transposed else nn.Conv2d)(*channels, kernel, **options)
    twin = packed_twin(conv)
    x = torch.randn(batch, channels[0], *size)
    # Weights are laid out for one size, and again where it changes.
    for images in (x, torch.randn(1, channels[0], 9, 7), x):
        torch.testing.assert_close(twin(images), conv(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.functional.relu_, nn.functional.relu, nn.LeakyReLU(0.3), nn.Sigmoid(), None],
)
def test_activations_are_applied_once(activation):
    conv = Conv2d(8, 16, 3, padding=1, activation=activation)
    x = torch.randn(2, 8, 9, 11)
    expected = conv(x)
    assert (expected < 0).any() == (activation is None or isinstance(activation, nn.LeakyReLU))
    torch.testing.assert_close(packed_twin(conv)(x), expected, atol=1e-5, rtol=1e-5)


def test_groups_and_channels_last():
    conv = nn.Conv2d(8, 8, 3, groups=4, padding=1)
    twin = packed_twin(conv)
    for size in ((9, 11), (6, 4)):
        x = torch.randn(2, 8, *size)
        result = twin(x)
        torch.testing.assert_close(result, conv(x), atol=1e-5, rtol=1e-5)
        assert result.is_contiguous(memory_format=torch.channels_last)


def test_weights_are_laid_out_once_for_a_size(monkeypatch: pytest.MonkeyPatch):
    twin = packed_twin(nn.Conv2d(8, 16, 3))
    laid_out = []
    packed = twin.forward
    reorder = packed._reorder

    def recorded(weight: torch.Tensor, *geometry: object) -> torch.Tensor:
        laid_out.append(geometry[-1])
        return reorder(weight, *geometry)

    monkeypatch.setattr(packed, "_reorder", recorded)
    for batch, size in ((1, 9), (4, 9), (0, 12), (1, 12), (3, 12), (2, 9)):
        twin(torch.randn(batch, 8, size, size))
    assert laid_out == [[1, 8, 9, 9], [1, 8, 12, 12], [2, 8, 9, 9]]


@pytest.mark.parametrize("transposed", [False, True])
def test_bfloat16_is_that_of_autocast(transposed: bool):
    if not can_be_packed(nn.Conv2d(1, 1, 1), torch.bfloat16):
        pytest.skip("this CPU has no bfloat16 for oneDNN")
    conv = (nn.ConvTranspose2d if transposed else nn.Conv2d)(32, 24, 4, stride=2)
    x = torch.randn(2, 32, 9, 11)
    with torch.autocast("cpu", torch.bfloat16):
        expected = conv(x)
    result = packed_twin(conv, torch.bfloat16)(x)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result, expected, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("transposed", [False, True])
def test_an_autocast_around_it_counts(transposed: bool):
    if not can_be_packed(nn.Conv2d(1, 1, 1), torch.bfloat16):
        pytest.skip("this CPU has no bfloat16 for oneDNN")
    conv = (nn.ConvTranspose2d if transposed else nn.Conv2d)(32, 24, 4, stride=2)
    twin = packed_twin(conv)
    x = torch.randn(2, 32, 9, 11)
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            result, expected = twin(x), conv(x)
        assert result.dtype == torch.bfloat16
        torch.testing.assert_close(result, expected, atol=1e-2, rtol=1e-2)
        # Nothing of the weight was lost.
        torch.testing.assert_close(twin(x), conv(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_unpacked_convolutions_are_what_they_were(kind: type[nn.Module]):
    conv = kind(8, 16, 3, stride=2)
    for sizes in ((), (9,), (9, 12)):
        twin = packed_twin(conv)
        for size in sizes:
            twin(torch.randn(1, 8, size, size))
        unpack_convolutions(twin)
        assert torch.equal(twin.weight, conv.weight)
        x = torch.randn(1, 8, 9, 9)
        torch.testing.assert_close(copy.deepcopy(twin)(x), conv(x))


class _Subclass(nn.Conv2d):
    pass


@pytest.mark.parametrize(
    "module",
    [
        _Subclass(2, 2, 1),
        nn.Linear(2, 2),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.ConvTranspose2d(4, 4, 2, groups=2),
        nn.ConvTranspose2d(4, 4, 2, stride=2, output_padding=1),
        nn.Conv2d(2, 2, 1, dtype=torch.float64),
        nn.Conv2d(2, 2, 1, device="meta"),
        Conv2d(2, 2, 1, norm=nn.GroupNorm(1, 2)),
    ],
)
def test_others_are_left_as_they_are(module: nn.Module):
    weight = module.weight
    pack(module, torch.float32)
    assert module.weight is weight
