"""The figures that `benchmark.py ops` gives for an operator, and their table."""

from dataclasses import dataclass
from itertools import chain

from tabulate import tabulate

ByThreads = dict[int, float]

# Of compositions that compute something else, which are no answer to which one is the fastest.
_OTHER_RESULT = 1e-3


@dataclass(frozen=True)
class Alternative:
    """Figures of the operator itself, or of a composition; times by number of threads."""

    name: str
    seconds: ByThreads  # the least of all runs
    median_seconds: ByThreads
    ratio: ByThreads  # least seconds over those of the operator
    copy_share: ByThreads  # of the bandwidth of a copy, if all inputs and results count once
    extra_bytes: int | None
    difference: float


@dataclass(frozen=True)
class CaseFigures:
    """Figures of an operator on one set of inputs: its own first, the usual composition's next."""

    op: str
    backward: bool
    layout: str
    shapes: list[list[int]]
    bytes: int  # of all inputs and results
    copy_bytes_per_second: ByThreads
    alternatives: list[Alternative]


def table(case: CaseFigures) -> str:
    """Returns a row for the operator and one for each composition."""
    threads = list(case.copy_bytes_per_second)
    headers = [
        "",
        *chain.from_iterable(
            (f"{_threads(count)}\nms", "\nmedian", "\nratio", "\nof copy") for count in threads
        ),
        f"{threads[-1]} threads\nfaster",
        "extra\nMB",
        "\ndifference",
    ]
    rows = [_row(alternative, threads) for alternative in case.alternatives]
    return tabulate(rows, headers, missingval="-", disable_numparse=True, stralign="right")


def _row(alternative: Alternative, threads: list[int]) -> list[str | None]:
    seconds, extra = alternative.seconds, alternative.extra_bytes
    times = (
        (
            f"{1e3 * seconds[count]:.2f}",
            f"{1e3 * alternative.median_seconds[count]:.2f}",
            f"{alternative.ratio[count]:.2f}",
            f"{alternative.copy_share[count]:.0%}",
        )
        for count in threads
    )
    return [
        alternative.name,
        *chain.from_iterable(times),
        f"{seconds[threads[0]] / seconds[threads[-1]]:.2f}x",
        None if extra is None else f"{extra / 1e6:.1f}",
        f"{alternative.difference:.0e}",
    ]


def summary(case: CaseFigures) -> str:
    """Returns a line for each number of threads, and one on memory where it could be measured."""
    operator, usual, *_ = case.alternatives
    compositions = [a for a in case.alternatives[1:] if a.difference < _OTHER_RESULT]
    lines = []
    for count, bandwidth in case.copy_bytes_per_second.items():
        fastest = min(compositions, key=lambda composition: composition.seconds[count])
        lines.append(
            f"{_threads(count)}: {fastest.ratio[count]:.1f}x as fast as the fastest composition "
            f"({fastest.name}), {usual.ratio[count]:.1f}x as the usual one ({usual.name}); "
            f"a copy moves {bandwidth / 1e9:.1f} GB/s"
        )
    if operator.extra_bytes is not None:
        share = operator.extra_bytes / max(usual.extra_bytes, 1)
        lines.append(f"extra memory: {share:.1%} of the usual composition's")
    return "\n".join(lines)


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"
