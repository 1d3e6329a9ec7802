"""Seq-NMS against a plain version of it, on made-up videos and on one that the original has run on.

    python scripts/benchmark.py seq-nms --original seqnms.npz --output seq_nms.json

A made-up video has as many boxes before NMS as a real one (300 regions of interest, 30 classes), in
three lengths: a few frames, for the plain version, and half and all of --frames, to see how time
and memory grow. NMS within frames, which follows, is not counted. In the table:

    ms, median   least and median time of the runs, which alternate with those of the plain version
    plain        how many times as long the plain version takes, by the least times
    original     how many times as long the original took, on the machine that its file is from
    extra MB     peak of memory beyond the inputs
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np
import torch
from tabulate import tabulate

from benchmarking.measuring import in_process_for_memory, peak_extra_bytes, time_alternately
from benchmarking.plain_seq_nms import plain_seq_nms
from benchmarking.raw_video import raw_video
from fgfa.errors import InputError
from fgfa.evaluation.seq_nms import seq_nms

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Video:
    """A video to measure on: boxes, scores, times and classes, as `seq_nms` takes them."""

    name: str
    arrays: tuple[np.ndarray, ...]
    with_plain: bool
    original_seconds: float | None = None


@dataclass(frozen=True)
class VideoFigures:
    """Figures of a video; None where something was not measured."""

    video: str
    frames: int
    boxes: int
    seconds: float  # the least of all runs
    median_seconds: float
    plain_ratio: float | None
    original_ratio: float | None
    extra_bytes: int | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--original",
        metavar="FILE.npz",
        help="what the original was given and how long it took: main_in_boxes (rows of x1 y1 x2 y2 "
        "score), main_in_counts (classes x frames) and main_seconds",
    )
    parser.add_argument("--frames", type=int, default=300, help="default: 300")
    parser.add_argument("--rois", type=int, default=300, help="of a frame (default: 300)")
    parser.add_argument("--classes", type=int, default=30, help="default: 30")
    parser.add_argument(
        "--plain-frames", type=int, default=10, help="for the plain version (default: 10)"
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (default: 3)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """Measures and prints all videos; returns their figures for JSON."""
    peaks = in_process_for_memory(peaks_of_videos, args)
    figures = [
        measure(video, args.repeat, extra_bytes)
        for video, extra_bytes in zip(videos_of(args), peaks, strict=True)
    ]
    print(table(figures))
    return {"videos": [asdict(figure) for figure in figures]}


def videos_of(args: argparse.Namespace) -> Iterator[Video]:
    if args.original is not None:
        yield original_video(args.original)
    arrays = raw_video(args.frames, args.rois, args.classes)
    for frames, with_plain in (
        (min(args.plain_frames, args.frames), True),
        (args.frames // 2, False),
        (args.frames, False),
    ):
        first = arrays[2] < frames
        yield Video("made up", tuple(array[first] for array in arrays), with_plain)


def original_video(path: str | os.PathLike[str]) -> Video:
    """The video of a file of the original's inputs and seconds.

    Raises:
        InputError: there is no such file, or it has other contents.
    """
    try:
        with np.load(path) as file:
            rows, counts, seconds = (
                file[f"main_{k}"] for k in ("in_boxes", "in_counts", "seconds")
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"--original {path} cannot be used: {error}; it has to be an .npz file with "
            "main_in_boxes, main_in_counts and main_seconds"
        ) from error
    classes, times = (
        np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape)
    )
    arrays = rows[:, :4], rows[:, 4], times, classes
    return Video("the original's", arrays, with_plain=True, original_seconds=float(seconds.min()))


def peaks_of_videos(args: argparse.Namespace) -> list[int | None]:
    """The extra memory of each video, in bytes."""
    return [peak_extra_bytes(lambda v=video: seq_nms(*v.arrays), _CPU) for video in videos_of(args)]


def measure(video: Video, repeat: int, extra_bytes: int | None) -> VideoFigures:
    """Times a video.

    Raises:
        AssertionError: the plain version has another result.
    """
    functions = {"fgfa": seq_nms, **({"plain": plain_seq_nms} if video.with_plain else {})}
    runs = {name: lambda f=function: f(*video.arrays) for name, function in functions.items()}
    results = [run() for run in runs.values()]
    for ours, expected in zip(results[0], results[-1], strict=True):
        np.testing.assert_array_equal(ours, expected)
    timed = time_alternately(runs, [torch.get_num_threads()], repeat, _CPU, video.name)
    seconds = {name: next(iter(by_threads.values())) for name, by_threads in timed.items()}
    least = min(seconds["fgfa"])
    original = video.original_seconds
    return VideoFigures(
        video=video.name,
        frames=len(np.unique(video.arrays[2])),
        boxes=len(video.arrays[1]),
        seconds=least,
        median_seconds=median(seconds["fgfa"]),
        plain_ratio=min(seconds["plain"]) / least if video.with_plain else None,
        original_ratio=original / least if original is not None else None,
        extra_bytes=extra_bytes,
    )


def table(figures: list[VideoFigures]) -> str:
    """Returns a row for each video."""
    headers = ["video", "frames", "boxes", "ms", "median", "plain", "original", "extra\nMB"]
    rows = [
        (
            figure.video,
            figure.frames,
            figure.boxes,
            f"{1e3 * figure.seconds:.1f}",
            f"{1e3 * figure.median_seconds:.1f}",
            figure.plain_ratio and f"{figure.plain_ratio:.1f}x",
            figure.original_ratio and f"{figure.original_ratio:.1f}x",
            figure.extra_bytes and f"{figure.extra_bytes / 1e6:.1f}",
        )
        for figure in figures
    ]
    return tabulate(rows, headers, missingval="-", disable_numparse=True, stralign="right")
