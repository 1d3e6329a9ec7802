"""The error of estimated flow."""

import pytest
import torch

from fgfa.modeling.flow_loss import mean_end_point_error


def test_distance_in_both_channels():
    exact = torch.zeros(2, 3, 4)
    flow = torch.stack([torch.full((3, 4), 3.0), torch.full((3, 4), 4.0)])[None]
    assert mean_end_point_error(flow, [exact]).item() == pytest.approx(5)


def test_padding_does_not_count():
    flow = torch.full((2, 2, 4, 5), 100.0)
    exact = [torch.zeros(2, 2, 3), torch.zeros(2, 4, 1)]
    flow[0, :, :2, :3] = 0
    flow[1, :, :, :1] = 0
    assert mean_end_point_error(flow, exact).item() == 0


def test_every_known_cell_counts_alike():
    flow = torch.zeros(3, 2, 2, 2)
    flow[0, 0] = 1
    exact = [torch.zeros(2, 2, 2), None, torch.zeros(2, 2, 1)]
    assert mean_end_point_error(flow, exact).item() == pytest.approx(4 / 6)


def test_nothing_known_is_no_error_with_a_gradient():
    flow = torch.ones(1, 2, 2, 2, requires_grad=True)
    error = mean_end_point_error(flow, [None])
    error.backward()
    assert error.item() == 0
    assert not flow.grad.any()


def test_gradient_is_finite_where_the_estimate_is_exact():
    flow = torch.zeros(1, 2, 2, 2, requires_grad=True)
    mean_end_point_error(flow, [torch.zeros(2, 2, 2)]).backward()
    assert flow.grad.isfinite().all()
