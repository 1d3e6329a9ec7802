r"""FGFA inference a frame, part by part, against the plain path and the machine's own peak.

    python scripts/benchmark.py model
    python scripts/benchmark.py model --size 562 1000 281 500 --radius 3 9 --frames 40
    python scripts/benchmark.py model --size 320 569 \
        --config-file configs/vid_mini/fgfa_flownet_s_rfcn_efficientnet_lite0.yaml \
        --opts MODEL.FGFA.FLOW_MODE composed

A frame is one that a stream brings when its window is full: it is taken in, and its key frame is
detected in. The plain path is what one would write first: maps in NCHW, batch norms on their own,
the flow network on whole concatenated pairs, aggregation with grid_sample, cosine_similarity and
softmax. Both run in turns, and large convolutions and matrix products with them. Weights are random
unless --opts name MODEL.WEIGHTS. In the tables:

    ms, median   least and median time of the runs
    share        of the frame, by the medians
    plain        the same of the plain path, or how many times as long it takes, by the least times
    GFLOP        of convolutions and matrix products; a multiplication and sum are two
    of peak      GFLOP/s as a share of those of the machine's fastest convolution or matrix product
    MB           all memory of a process that does nothing else, with code and weights, or on a GPU
                 that of tensors: before the model is there, behind the first frame, behind the
                 last of --frames, and its peak
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarking.measuring import chosen_device, held_bytes, in_new_process, threads_restored
from benchmarking.model_figures import StreamFigures, growth_table, part_table, summary
from benchmarking.model_measuring import Models, measure, stream
from benchmarking.steady_video import build
from fgfa.config import add_opts_argument, load_config
from fgfa.errors import InputError
from fgfa.modeling import FGFA
from fgfa.modeling.inference_layout import prepare_for_inference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config-file",
        metavar="FILE",
        default="configs/imagenet_vid/fgfa_rfcn_R_101.yaml",
        help="of an FGFA model (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs="+",
        default=[562, 1000],
        metavar="PIXELS",
        help="height and width of the network's input, of one or more sizes (default: 562 1000)",
    )
    parser.add_argument(
        "--radius", type=int, nargs="+", help="of the window, one or more (default: the config's)"
    )
    threads = torch.get_num_threads()
    parser.add_argument("--threads", type=int, default=threads, help=f"default: {threads}")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument(
        "--frames", type=int, default=4, help="of the video whose memory is read (default: 4)"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    add_opts_argument(parser, "config keys and values, behind all other options")


def run(args: argparse.Namespace) -> dict[str, object]:
    """Measures and prints case by case; returns all figures for JSON."""
    device = chosen_device(args.device)
    cases = []
    with threads_restored():
        torch.set_num_threads(args.threads)
        models = Models(built(args))
        for size in sizes_of(args.size):
            for radius in args.radius or [models.fast.test_radius]:
                streamed = in_new_process(measured_stream, args, size, radius)
                models.set_radius(radius)
                cases.append(measure(models, size, args.repeat, device, streamed))
                print(f"{title(args, size, radius)}\n{part_table(cases[-1])}")
                print(f"{summary(cases[-1])}\n", flush=True)
    if len(cases) > 1:
        print(growth_table(cases))
    return {"cases": [asdict(case) | {"plain_ratio": case.plain_ratio} for case in cases]}


def sizes_of(pixels: list[int]) -> list[tuple[int, int]]:
    """Pairs heights and widths.

    Raises:
        InputError: they are not pairs.
    """
    if len(pixels) % 2:
        raise InputError(f"--size has {len(pixels)} numbers; give a height and a width of each")
    return list(zip(pixels[::2], pixels[1::2], strict=True))


def built(args: argparse.Namespace) -> FGFA:
    """The model of a command line."""
    cfg = load_config(args.config_file, [*args.opts, "MODEL.DEVICE", args.device])
    return build(cfg, with_weights="MODEL.WEIGHTS" in args.opts)


def measured_stream(args: argparse.Namespace, size: tuple[int, int], radius: int) -> StreamFigures:
    """Streams a video; to be called in a process that does nothing else."""
    device = torch.device(args.device)
    torch.set_num_threads(args.threads)
    before = held_bytes(device)
    model = prepare_for_inference(built(args))
    model.test_radius = radius
    return stream(model, size, args.frames, device, before)


def title(args: argparse.Namespace, size: tuple[int, int], radius: int) -> str:
    options = " ".join(["", *args.opts])
    return (
        f"{Path(args.config_file).stem}{options}, {size[0]} x {size[1]}, radius {radius}, "
        f"{args.device}, {args.threads} threads"
    )
