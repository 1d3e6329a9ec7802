"""The compiled operators against compositions of PyTorch's operators.

Forward of the aggregation of a whole window, forward and backward at the shapes of training, each
with channels-last and NCHW inputs; warping and pooling likewise. In the tables:

    ms, median   least and median time of the runs, which alternate between all rows
    ratio        how many times as long as the operator it takes, by the least times
    of copy      bytes of all inputs and results over that time, as a share of the bandwidth of a
                 large copy (read and written bytes) that alternates with the rows
    extra MB     peak of memory beyond the inputs: temporaries and results
    difference   largest difference to the twin that sums in float64, each result and gradient
                 relative to its largest value
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from statistics import median

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarking.measuring import (
    chosen_device,
    copy_run,
    in_process_for_memory,
    peak_extra_bytes,
    time_alternately,
)
from benchmarking.op_cases import (
    Case,
    OpFn,
    aggregate_cases,
    flow_warp_cases,
    ps_roi_pool_cases,
)
from benchmarking.op_figures import Alternative, CaseFigures, summary, table
from fgfa.layers import has_extension

OPERATOR, COPY = "fgfa", "copy"
Results = tuple[Tensor, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--frames", type=int, default=19, help="of the window (default: 19)")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=[38, 63],
        metavar=("H", "W"),
        help="of the feature map (default: 38 63)",
    )
    parser.add_argument("--channels", type=int, default=1024, help="of features (default: 1024)")
    parser.add_argument("--embedding", type=int, default=2048, help="its channels (default: 2048)")
    parser.add_argument("--repeat", type=int, default=7, help="runs of each (default: 7)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")


def run(args: argparse.Namespace) -> dict[str, object]:
    """Measures and prints case by case; returns all figures for JSON."""
    chosen_device(args.device)
    figures = []
    peaks = in_process_for_memory(peaks_of_cases, args)
    for case, extra_bytes in zip(cases_of(args), peaks, strict=True):
        figures.append(measure(case, args.threads, args.repeat, extra_bytes))
        print(f"{case.title}\n{table(figures[-1])}\n{summary(figures[-1])}\n", flush=True)
    return {"compiled": has_extension(args.device), "cases": [asdict(f) for f in figures]}


def cases_of(args: argparse.Namespace) -> Iterator[Case]:
    size, device = tuple(args.size), torch.device(args.device)
    yield from aggregate_cases(args.frames, args.channels, args.embedding, size, device)
    yield from flow_warp_cases(args.channels, size, device)
    yield from ps_roi_pool_cases(size, device)


def peaks_of_cases(args: argparse.Namespace) -> list[dict[str, int | None]]:
    """Returns the extra memory of the alternatives, by name, of each case."""
    device = torch.device(args.device)
    return [
        {name: peak_extra_bytes(run, device) for name, run in runs_of(case).items()}
        for case in tqdm(cases_of(args), desc="memory", leave=False)
    ]


def measure(
    case: Case, threads: Sequence[int], repeat: int, extra_bytes: dict[str, int | None]
) -> CaseFigures:
    """Measures an operator and its compositions on one set of inputs.

    Args:
        case: what to run.
        threads: numbers of threads to time with.
        repeat: how often to time each alternative.
        extra_bytes: their extra memory by name.
    """
    runs = runs_of(case)
    expected = runner(case.reference, case)()
    differences = {name: difference(run(), expected) for name, run in runs.items()}
    gradient = (case.grad,) if case.backward else ()
    moved = sum(tensor.nbytes for tensor in (*case.inputs, *gradient, *runs[OPERATOR]()))
    del expected

    device = case.inputs[0].device
    copy, copied = copy_run(device)
    seconds = time_alternately({**runs, COPY: copy}, threads, repeat, device, case.title)
    least, medians = _map_times(seconds, min), _map_times(seconds, median)
    alternatives = [
        Alternative(
            name=name,
            seconds=least[name],
            median_seconds=medians[name],
            ratio={n: least[name][n] / least[OPERATOR][n] for n in threads},
            copy_share={n: moved / copied * least[COPY][n] / least[name][n] for n in threads},
            extra_bytes=extra_bytes[name],
            difference=differences[name],
        )
        for name in runs
    ]
    return CaseFigures(
        op=case.op,
        backward=case.backward,
        layout=case.layout,
        shapes=[list(tensor.shape) for tensor in case.inputs],
        bytes=moved,
        copy_bytes_per_second={n: copied / least[COPY][n] for n in threads},
        alternatives=alternatives,
    )


def runs_of(case: Case) -> dict[str, Callable[[], Results]]:
    """Returns a function to run for each alternative, the operator's first."""
    functions = {OPERATOR: case.function, **case.compositions}
    return {name: runner(function, case) for name, function in functions.items()}


def runner(function: OpFn, case: Case) -> Callable[[], Results]:
    """Returns a function that gives the result, and with backward also the inputs' gradients."""

    def forward() -> Results:
        with torch.inference_mode():
            return (function(*case.inputs),)

    def forward_and_backward() -> Results:
        leaves = [tensor.detach().requires_grad_() for tensor in case.inputs]
        result = function(*leaves)
        return (result.detach(), *torch.autograd.grad(result, leaves, case.grad))

    return forward_and_backward if case.backward else forward


def difference(results: Results, expected: Results) -> float:
    """Returns the largest difference, relative to the largest value of each tensor."""
    return max(
        ((result - wanted).abs().max() / wanted.abs().max()).item()
        for result, wanted in zip(results, expected, strict=True)
    )


def _map_times(
    seconds: dict[str, dict[int, list[float]]], reduce: Callable[[list[float]], float]
) -> dict[str, dict[int, float]]:
    return {
        name: {count: reduce(times) for count, times in by_threads.items()}
        for name, by_threads in seconds.items()
    }
