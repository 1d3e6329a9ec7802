"""Tests that the CPU kernels of every instruction set compute the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fgfa.layers import aggregate_reference, flow_warp_reference, has_extension

pytestmark = pytest.mark.skipif(not has_extension(), reason="fgfa._C is not built")

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
# Results and gradients of both operators, in a process of its own: kernels are chosen once.
PROGRAM = """
import sys
import torch
from fgfa import _C
from fgfa.layers import aggregate, flow_warp

results = [_C.CPU_CAPABILITY]
for inputs in torch.load(sys.argv[1]):
    for function in (lambda f, e, flow, k: flow_warp(f, flow), aggregate):
        for tensor in inputs:
            tensor.grad = None
        result = function(*inputs)
        result.sum().backward()
        results.append([result, *(tensor.grad for tensor in inputs)])
torch.save(results, sys.argv[2])
"""


def inputs_of(dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features, embeddings, flow, key = (
        torch.randn(shape, generator=generator)
        for shape in ((2, 157, 5, 9), (2, 211, 5, 9), (2, 2, 5, 9), (1, 211, 5, 9))
    )
    maps = (features.to(dtype), embeddings.to(dtype), key.to(dtype))
    # Positions that float32 holds exactly, off the grid lines.
    flow = ((64 * flow).round() / 64 + 1 / 128).to(torch.promote_types(dtype, torch.float32))
    return [tensor.requires_grad_() for tensor in (*maps[:2], flow, maps[2])]


def expected_results(dtype: torch.dtype) -> list[list[torch.Tensor | None]]:
    """The twins', in double precision."""
    results = []
    for function in (lambda f, e, flow, k: flow_warp_reference(f, flow), aggregate_reference):
        inputs = [tensor.detach().double().requires_grad_() for tensor in inputs_of(dtype)]
        result = function(*inputs)
        result.sum().backward()
        results.append([result, *(tensor.grad for tensor in inputs)])
    return results


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_instruction_sets_agree(capability: str, tmp_path: Path) -> None:
    torch.save([inputs_of(dtype) for dtype in DTYPES], tmp_path / "inputs.pt")
    program = [sys.executable, "-c", PROGRAM, tmp_path / "inputs.pt", tmp_path / "results.pt"]
    environment = {**os.environ, "FGFA_CPU_CAPABILITY": capability}
    subprocess.run(program, check=True, env=environment)
    chosen, *results = torch.load(tmp_path / "results.pt")
    if chosen != capability:
        pytest.skip(f"this processor has no {capability}")
    for dtype, *ours in zip(DTYPES, results[::2], results[1::2], strict=True):
        digits = {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 2e-2)
        ours = [[t if t is None else t.double() for t in tensors] for tensors in ours]
        torch.testing.assert_close(ours, expected_results(dtype), rtol=digits, atol=digits)
