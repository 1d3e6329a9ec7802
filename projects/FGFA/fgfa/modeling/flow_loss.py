"""The error of estimated flow, where the exact one is known."""

from collections.abc import Sequence

import torch


def mean_end_point_error(flow: torch.Tensor, exact: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """Mean Euclidean distance of estimated from exact flow, in the unit of both.

    Args:
        flow: estimates (N, 2, H, W), channel 0 = x.
        exact: for each of them the exact flow (2, h, w) of its upper left part, whose cells alone
            count (the rest is padding of the batch), or None where it is not known.

    Returns:
        A scalar; 0 where nothing is known.
    """
    errors = [
        (estimate[:, : true.shape[1], : true.shape[2]] - true.to(estimate)).norm(dim=0).flatten()
        for estimate, true in zip(flow, exact, strict=True)
        if true is not None
    ]
    return torch.cat(errors).mean() if errors else 0 * flow.sum()
