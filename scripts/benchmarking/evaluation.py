"""Average precision for all, slow, medium and fast objects of a set as large as ImageNet VID's.

Boxes and detections are random, the numbers of boxes those of the 176,126 frames of the validation
set. In the table:

    from         memory: matching and AP of detections at hand; text: their file is read first
    seconds      the lesser of two runs
    CPU          the same, of computing time, which other load on the machine changes less
    peak MB      most that is held beside Python and its libraries: ground truth, detections and all
                 that is made of them
    us each      seconds a million detections
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tabulate import tabulate

from benchmarking.evaluation_workload import ALL_FRAMES, NUM_CLASSES, Workload, make_workload
from benchmarking.measuring import peak_extra_bytes
from fgfa.evaluation.average_precision import average_precision
from fgfa.evaluation.box_motion import BoxMotion
from fgfa.evaluation.matching import ALL_MOTION
from fgfa.evaluation.motion_iou import MOTION_RANGES
from fgfa.evaluation.prediction_file import read_prediction_files, write_predictions
from fgfa.evaluation.records import Detections, GroundTruth

_CPU = torch.device("cpu")
_HEADERS = ["a frame", "detections", "from", "seconds", "CPU", "peak MB", "us each"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--per-frame",
        type=int,
        nargs="+",
        default=[20, 100],
        metavar="N",
        help="detections a frame (default: 20 100)",
    )
    parser.add_argument(
        "--frames", type=int, default=ALL_FRAMES, help=f"at most and by default {ALL_FRAMES}"
    )


def run(args: argparse.Namespace) -> dict[str, object]:
    """Measures and prints; returns all figures for JSON."""
    cases = []
    for per_frame in args.per_frame:
        cases += measure(min(args.frames, ALL_FRAMES), per_frame)
    rows = [
        [
            case["per_frame"],
            f"{case['detections']:,}",
            case["source"],
            f"{case['seconds']:.1f}",
            f"{case['cpu_seconds']:.1f}",
            case["peak_bytes"] and f"{case['peak_bytes'] / 1e6:.0f}",
            f"{1e6 * case['seconds'] / case['detections']:.2f}",
        ]
        for case in cases
    ]
    print(tabulate(rows, _HEADERS, tablefmt="pipe", disable_numparse=True, colalign=["right"] * 7))
    return {"cases": cases}


def measure(num_frames: int, per_frame: int) -> list[dict[str, object]]:
    """Measures from memory and from a text file, and returns the figures of both."""
    work = make_workload(num_frames, per_frame)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detections.txt"
        write_predictions(path, work.detections)

        def from_text() -> None:
            image_ids = work.ground_truth.image_ids
            score(work, read_prediction_files([path], NUM_CLASSES, image_ids))

        runs = {
            "memory": (lambda: score(work, work.detections), _bytes(work.detections)),
            "text": (from_text, 0),
        }
        return [
            {
                "per_frame": per_frame,
                "detections": len(work.detections),
                "source": source,
                **_figures(run_, held + _bytes(work.ground_truth) + _bytes(work.motion)),
            }
            for source, (run_, held) in runs.items()
        ]


def score(work: Workload, detections: Detections) -> None:
    """Computes the AP of each class for all motion and for the three groups."""
    average_precision(
        work.ground_truth,
        detections,
        NUM_CLASSES,
        motion_iou=work.motion.values,
        population=work.motion.population,
        motion_ranges=[ALL_MOTION, *MOTION_RANGES.values()],
    )


def _figures(run_: Callable[[], None], held: int) -> dict[str, float | None]:
    """Time of a run, and its peak of memory together with the bytes that are held before."""
    seconds, cpu_seconds = [], []

    def timed() -> None:
        start, cpu_start = time.perf_counter(), time.process_time()
        run_()
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)

    extra = peak_extra_bytes(timed, _CPU)
    return {
        "seconds": min(seconds),
        "cpu_seconds": min(cpu_seconds),
        "peak_bytes": None if extra is None else held + extra,
    }


def _bytes(table: GroundTruth | BoxMotion | Detections) -> int:
    return sum(column.nbytes for column in vars(table).values())
