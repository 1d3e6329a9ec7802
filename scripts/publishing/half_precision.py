"""Weights in half precision: rounding them, by how much, and the bytes of their file."""

import io
from collections.abc import Mapping

import torch

from fgfa.errors import InputError

Weights = Mapping[str, torch.Tensor]


def to_half(weights: Weights) -> dict[str, torch.Tensor]:
    """The weights as float16; integers, such as the counters of batch norms, stay as they are.

    Raises:
        InputError: if a value is not finite, or too large for float16 (65,504 at most).
    """
    halves = {
        name: value.half() if value.is_floating_point() else value
        for name, value in weights.items()
    }
    for name, value in halves.items():
        if not value.isfinite().all():
            raise InputError(
                f"{name} has values that are no numbers, infinite, or above the 65,504 of half "
                "precision; publish another checkpoint"
            )
    return halves


def largest_rounding_error(weights: Weights, halves: Weights) -> float:
    """How far any value was moved, as a share of the largest one of its tensor."""
    errors = [
        (value.float() - halves[name].float()).abs().max() / value.abs().max()
        for name, value in weights.items()
        if value.is_floating_point() and value.any()
    ]
    return max(map(float, errors), default=0.0)


def checkpoint_bytes(weights: Weights) -> bytes:
    """The content of a checkpoint of Detectron2, the same for the same weights."""
    # A file would have its own name in it, which a buffer does not have.
    buffer = io.BytesIO()
    torch.save({"model": {name: value.contiguous() for name, value in weights.items()}}, buffer)
    return buffer.getvalue()
