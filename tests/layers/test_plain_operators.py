"""What stands for the compiled operators in ONNX, against their twins."""

import pytest
import torch

from fgfa.layers import aggregate_reference, flow_warp_reference, has_extension, plain_operators
from fgfa.layers.plain_operators import aggregate_by_grid, flow_warp_by_grid


def make_maps(size: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    features, embeddings, flow, key = (
        torch.randn(count, channels, *size, generator=generator)
        for count, channels in ((5, 7), (5, 4), (5, 2), (1, 4))
    )
    flow *= 3
    flow[0] = 0
    flow[1] = flow[1].round()
    flow[2, :, 0, 0] = torch.nan
    flow[3, 0] = torch.inf
    return features, embeddings, flow, key


@pytest.mark.parametrize("size", [(9, 14), (1, 6), (5, 1), (1, 1)])
def test_maps_are_those_of_the_twins(size: tuple[int, int]) -> None:
    features, embeddings, flow, key = make_maps(size)
    warped = flow_warp_by_grid(features, flow)
    torch.testing.assert_close(warped, flow_warp_reference(features, flow), atol=2e-5, rtol=0)
    # Exactly one cell off the map the last digit decides whether there is an embedding at all.
    flow[1] += 0.3
    summed = aggregate_by_grid(features, embeddings, flow, key)
    expected = aggregate_reference(features, embeddings, flow, key)
    torch.testing.assert_close(summed, expected, atol=2e-5, rtol=0)


def test_every_compiled_operator_has_a_stand_in() -> None:
    names = {operator.name() for operator in plain_operators()}
    expected = {"fgfa::flow_warp", "fgfa::aggregate", "fgfa::ps_roi_pool"}
    assert names == (expected if has_extension() else set())
