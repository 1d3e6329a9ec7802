"""The figures that `benchmark.py model` gives for a model, and their tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from benchmarking.detection_difference import DetectionDifference
from benchmarking.machine_peak import CONVOLUTION, MATRIX_PRODUCT


@dataclass(frozen=True)
class PartFigures:
    """Figures of a part of a model, or of all of it; a frame."""

    name: str
    seconds: float  # the least of all runs
    median_seconds: float
    plain_seconds: float
    plain_median_seconds: float
    flops: float
    peak_share: dict[str, float]  # flops over seconds, as a share of each of the machine's peaks


@dataclass(frozen=True)
class StreamFigures:
    """Figures of a video in a process of its own; bytes None where they are not known."""

    frames: int  # that were timed
    first_half_seconds: float  # median time of a frame
    second_half_seconds: float
    before_bytes: int | None  # held without the model
    start_bytes: int | None  # held behind the first frame with a full window
    end_bytes: int | None
    peak_bytes: int | None  # since the process began


@dataclass(frozen=True)
class CaseFigures:
    """Figures of a model at one size and radius."""

    size: tuple[int, int]
    radius: int
    window: int  # frames
    frame: PartFigures
    parts: list[PartFigures]
    peak_flops_per_second: dict[str, float]  # of the machine, by kind of work
    difference: DetectionDifference  # of the plain path and fgfa
    stream: StreamFigures

    @property
    def plain_ratio(self) -> float:
        """How many times as long the plain path takes."""
        return self.frame.plain_seconds / self.frame.seconds


def part_table(case: CaseFigures) -> str:
    """Returns a row for each part, and one for all."""
    headers = ["", "ms", "median", "share", "plain\nms", "\nmedian", "GFLOP"]
    headers += ["GFLOP/s", "of peak\nconvolution", "\nmatrix product"]
    rows = [_part_row(part, case.frame) for part in (*case.parts, case.frame)]
    return _table(rows, headers)


def _part_row(part: PartFigures, frame: PartFigures) -> list[str | None]:
    has_flops = part.flops > 0
    return [
        part.name,
        _ms(part.seconds),
        _ms(part.median_seconds),
        f"{part.median_seconds / frame.median_seconds:.1%}",
        _ms(part.plain_seconds),
        _ms(part.plain_median_seconds),
        f"{part.flops / 1e9:.1f}" if has_flops else None,
        f"{part.flops / part.seconds / 1e9:.1f}" if has_flops else None,
        f"{part.peak_share[CONVOLUTION]:.0%}" if has_flops else None,
        f"{part.peak_share[MATRIX_PRODUCT]:.0%}" if has_flops else None,
    ]


def summary(case: CaseFigures) -> str:
    """Returns what is to be said beside the table of parts."""
    frame, difference, stream = case.frame, case.difference, case.stream
    plain_count, count = difference.counts
    peaks = ", ".join(f"{k} {v / 1e9:.1f}" for k, v in case.peak_flops_per_second.items())
    lines = [
        f"the plain path takes {case.plain_ratio:.2f}x as long as fgfa, by the medians "
        f"{frame.plain_median_seconds / frame.median_seconds:.2f}x",
        f"peaks of this machine in GFLOP/s: {peaks}",
        f"detections: {plain_count} and {count}, {difference.pairs} of them the same: boxes differ "
        f"by {difference.box:.1e} pixels, scores by {difference.score:.1e}",
        f"{stream.frames} more frames, in a process of their own: "
        f"{_ms(stream.first_half_seconds)} ms a frame in the first half, "
        f"{_ms(stream.second_half_seconds)} in the second",
    ]
    if stream.peak_bytes is not None:
        lines.append(
            f"memory of that process in MB: {_mb(stream.before_bytes)} without the model, "
            f"{_mb(stream.start_bytes)} with a full window, {_mb(stream.end_bytes)} at the end, "
            f"{_mb(stream.peak_bytes)} at most"
        )
    return "\n".join(lines)


def growth_table(cases: Sequence[CaseFigures]) -> str:
    """Returns a row for each size and radius."""
    headers = ["size", "radius", "frames", "ms", "median", "a second", "plain", "GFLOP"]
    headers += ["of peak\nconvolution", "MB\nno model", "\nfull window", "\nend", "\npeak"]
    rows = [
        (
            "{} x {}".format(*case.size),
            case.radius,
            case.window,
            _ms(case.frame.seconds),
            _ms(case.frame.median_seconds),
            f"{1 / case.frame.seconds:.2f}",
            f"{case.plain_ratio:.2f}x",
            f"{case.frame.flops / 1e9:.1f}",
            f"{case.frame.peak_share[CONVOLUTION]:.0%}",
            _mb(case.stream.before_bytes),
            _mb(case.stream.start_bytes),
            _mb(case.stream.end_bytes),
            _mb(case.stream.peak_bytes),
        )
        for case in cases
    ]
    return _table(rows, headers)


def _table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers, missingval="-", disable_numparse=True, stralign="right")


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}"


def _mb(count: int | None) -> str | None:
    return None if count is None else f"{count / 1e6:.0f}"
