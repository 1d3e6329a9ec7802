"""The embedding in which frames are compared."""

import pytest
import torch

from fgfa.errors import InputError
from fgfa.modeling import Embedding


def test_channels_and_size():
    embedding = Embedding(6, [4, 5, 7])
    assert embedding(torch.randn(2, 6, 3, 4)).shape == (2, 7, 3, 4)
    assert [tuple(p.shape) for p in embedding.parameters() if p.dim() == 4] == [
        (4, 6, 1, 1),
        (5, 4, 3, 3),
        (7, 5, 1, 1),
    ]


def test_relu_stands_between_the_convolutions_and_not_behind_them():
    torch.manual_seed(0)
    embedding = Embedding(6, [4, 5, 7])
    feature = torch.randn(1, 6, 3, 4)
    (w1, b1), (w2, b2), (w3, b3) = ((c.weight, c.bias) for c in embedding if hasattr(c, "weight"))
    hidden = torch.conv2d(feature, w1, b1).clamp(min=0)
    hidden = torch.conv2d(hidden, w2, b2, padding=1).clamp(min=0)
    expected = torch.conv2d(hidden, w3, b3)
    torch.testing.assert_close(embedding(feature), expected)
    assert (expected < 0).any()


def test_feature_is_left_as_it_is():
    feature = torch.randn(1, 6, 3, 4)
    before = feature.clone()
    Embedding(6, [4, 5, 7])(feature)
    assert torch.equal(feature, before)


def test_a_single_convolution():
    torch.manual_seed(0)
    embedding = Embedding(6, [5], [3])
    feature = torch.randn(1, 6, 3, 4)
    weight, bias = embedding.parameters()
    expected = torch.conv2d(feature, weight, bias, padding=1)
    torch.testing.assert_close(embedding(feature), expected)
    assert (expected < 0).any()


def test_as_many_kernels_as_channels_are_asked_for():
    with pytest.raises(InputError, match=r"EMBEDDING_KERNELS .* differ in length"):
        Embedding(6, [5], [1, 3, 1])


def test_no_convolutions_give_ones():
    embedding = Embedding(6, [], [])
    assert torch.equal(embedding(torch.randn(2, 6, 3, 4)), torch.ones(2, 1, 3, 4))
