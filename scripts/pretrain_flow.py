"""Pretrains a flow network on synthetic pairs made of still images, and measures it.

Example, with the small network that a CPU can train:

    python scripts/pretrain_flow.py --images vid_mini_train --output flow.pth --width 0.5
    python scripts/pretrain_flow.py --images 'stills/*.jpg' --output flow.pth --resume

MODEL.FLOW_NET.WEIGHTS takes the output. Every tenth still is kept out of training; end-point
errors are measured on pairs made of these, beside zero flow and OpenCV's DIS, and are also written
as JSON beside the output.
"""

import argparse
import glob
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog
from tabulate import tabulate
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

import fgfa.data  # noqa: F401  registers the datasets
from fgfa.config import add_fgfa_config
from fgfa.data.flow_pairs import SyntheticFlowPairs
from fgfa.errors import InputError, one_sentence_errors
from fgfa.files import atomic_write
from fgfa.modeling.flow_net import CELL, DIS, FLOW_NET_REGISTRY, ZeroFlow, build_flow_net
from fgfa.modeling.flow_net.unlearned import UnlearnedFlow
from fgfa.plain_files import load_tensors

HELD_OUT_EVERY = 10
CHECKPOINT_EVERY = 300  # iterations
# Lowest and highest length of the exact flow, in cells.
SPEEDS = {"small": (0.0, 0.25), "medium": (0.25, 1.0), "large": (1.0, float("inf"))}

Batch = dict[str, torch.Tensor]
CellFlow = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    torch.manual_seed(args.seed)
    stills = find_stills(args.images)
    net = build_network(args)
    weights = args.output if args.eval_only else args.weights
    if weights:
        load_weights(net, load_checkpoint(weights), weights)
    if not args.eval_only:
        train(net, stills, args)
    errors = evaluate(net, stills, args)
    rows = [[name, *values.values()] for name, values in errors.items()]
    print(tabulate(rows, headers=["end-point error", *errors["zero"]], floatfmt=".3f"))
    with atomic_write(args.output.with_suffix(".json")) as path:
        path.write_text(json.dumps(errors, indent=2) + "\n")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, help="registered dataset, or glob of images")
    parser.add_argument("--output", required=True, type=Path, help="weights to write (.pth)")
    parser.add_argument("--net", default="FlowNetS", choices=trained_nets())
    parser.add_argument("--width", type=float, default=1.0, help="MODEL.FLOW_NET.WIDTH")
    parser.add_argument("--weights", type=Path, help="output of a former run to start from")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 384), metavar=("H", "W"))
    parser.add_argument("--iterations", type=int, default=10000)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=4e-4, help="highest rate of the one cycle")
    parser.add_argument("--eval-pairs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1, help="processes that make pairs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="continue from --output")
    parser.add_argument("--eval-only", action="store_true", help="measure --output only")
    args = parser.parse_args(argv)
    if args.output.suffix != ".pth":  # errors are written beside it, as JSON
        parser.error(f"--output is a .pth file, not {args.output}")
    if min(args.iterations, args.batch_size, args.eval_pairs, *args.size) < 1:
        parser.error("--iterations, --batch-size, --eval-pairs and --size are at least 1")
    return args


def trained_nets() -> list[str]:
    """Names of the flow networks that have weights."""
    return [name for name, net in FLOW_NET_REGISTRY if not issubclass(net, UnlearnedFlow)]


def find_stills(images: str) -> list[str]:
    """Files of a registered dataset or of a glob pattern, sorted, at least HELD_OUT_EVERY."""
    if images in DatasetCatalog.list():
        files = [record["file_name"] for record in DatasetCatalog.get(images)]
    else:
        files = glob.glob(images, recursive=True)
    if len(files) < HELD_OUT_EVERY:
        raise InputError(
            f"--images {images} gives {len(files)} images; name a registered dataset or a glob "
            f"pattern of at least {HELD_OUT_EVERY}, to train with and to measure on."
        )
    return sorted(files)


def build_network(args: argparse.Namespace) -> nn.Module:
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.MODEL.FLOW_NET.NAME = args.net
    cfg.MODEL.FLOW_NET.WIDTH = args.width
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return build_flow_net(cfg).to(device)


def load_checkpoint(path: Path) -> dict[str, object]:
    if not path.is_file():
        raise InputError(f"There are no weights at {path}; train first, or give another --output.")
    try:
        checkpoint = load_tensors(path)
        if not isinstance(checkpoint["model"], dict):
            raise TypeError("its model is no state dict")
    except Exception as error:  # bytes that are no checkpoint can raise anything
        raise InputError(
            f"{path} is broken or no output of this program ({type(error).__name__}); name another."
        ) from error
    return checkpoint


def load_weights(net: nn.Module, checkpoint: dict[str, object], path: Path) -> None:
    try:
        net.load_state_dict(checkpoint["model"])
    except RuntimeError as error:
        raise InputError(
            f"{path} is of another network; give the --net and --width that it was trained with."
        ) from error


def save_checkpoint(path: Path, checkpoint: dict[str, object]) -> None:
    with atomic_write(path) as temporary:
        torch.save(checkpoint, temporary)


def train(net: nn.Module, stills: Sequence[str], args: argparse.Namespace) -> None:
    """Trains up to `args.iterations` and leaves the weights at `args.output`."""
    optimizer = torch.optim.Adam(net.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, total_steps=args.iterations + 1, pct_start=0.1, cycle_momentum=False
    )
    start = 0
    if args.resume:
        checkpoint = load_checkpoint(args.output)
        if "optimizer" not in checkpoint:
            raise InputError(f"{args.output} is of a finished training; leave --resume out.")
        load_weights(net, checkpoint, args.output)
        optimizer.load_state_dict(checkpoint["optimizer"])
        schedule.load_state_dict(checkpoint["schedule"])
        start = checkpoint["iteration"]

    # A pair is its index: the iterations already done are left out.
    pairs = SyntheticFlowPairs(
        [still for i, still in enumerate(stills) if i % HELD_OUT_EVERY],
        length=args.iterations * args.batch_size,
        size=tuple(args.size),
        seed=args.seed,
    )
    todo = range(start * args.batch_size, len(pairs))
    loader = DataLoader(pairs, args.batch_size, sampler=todo, num_workers=args.workers)
    progress = tqdm(loader, initial=start, total=args.iterations, desc="train", mininterval=10)
    errors = RunningErrors()
    for iteration, batch in enumerate(progress, start + 1):
        predictions = net.predictions(*normalized(net, batch))
        loss = multi_scale_loss(predictions, batch["flow"])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), max_norm=5.0)
        optimizer.step()
        schedule.step()
        errors.update(predictions[0], batch["flow"])
        progress.set_postfix(errors.shown(), refresh=False)
        if iteration % CHECKPOINT_EVERY == 0:
            states = {"model": net, "optimizer": optimizer, "schedule": schedule}
            states = {name: part.state_dict() for name, part in states.items()}
            save_checkpoint(args.output, {**states, "iteration": iteration})
    save_checkpoint(args.output, {"model": net.state_dict()})


def normalized(net: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Key frames and neighbors of a batch, (N, 3, H, W), as the network takes them."""
    device = next(iter(net.parameters()), batch["key"]).device
    key, neighbor = (net.normalize(batch[name].to(device).float()) for name in ("key", "neighbor"))
    return key, neighbor


class RunningErrors:
    """Mean end-point errors of about the last 100 batches, in cells."""

    def __init__(self) -> None:
        self.means = torch.zeros(2)
        self.updates = 0

    @torch.no_grad()
    def update(self, flow: torch.Tensor, exact: torch.Tensor) -> None:
        """Takes the flow (N, 2, h, w) in cells, and the exact one (N, 2, H, W) in pixels."""
        flow = flow.cpu()
        exact = F.adaptive_avg_pool2d(exact / CELL, flow.shape[-2:])
        errors = [end_point_error(x, exact).mean() for x in (flow, torch.zeros_like(flow))]
        self.updates += 1
        self.means += (torch.stack(errors) - self.means) / min(self.updates, 100)

    def shown(self) -> dict[str, str]:
        return {"error": f"{self.means[0]:.3f}", "zero flow": f"{self.means[1]:.3f}"}


def multi_scale_loss(predictions: Sequence[torch.Tensor], flow: torch.Tensor) -> torch.Tensor:
    """Weighted sum of mean end-point errors.

    FlowNet's weights and sums over pixels come to 1, 1/2, 1/4, 1/4, 1/4 for means over pixels.

    Args:
        predictions: flows (N, 2, h, w) in cells, the finest first.
        flow: exact flow (N, 2, H, W), pixels.
    """
    flow = flow.to(predictions[0].device) / CELL
    return sum(
        max(0.5**i, 0.25) * end_point_error(p, F.adaptive_avg_pool2d(flow, p.shape[-2:])).mean()
        for i, p in enumerate(predictions)
    )


def end_point_error(flow: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """Euclidean distance of two flows (N, 2, h, w) at each position, (N, h, w)."""
    return (flow - exact).square().sum(dim=1).add(1e-12).sqrt()


def evaluate(
    net: nn.Module, stills: Sequence[str], args: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Mean end-point errors of zero flow, DIS and the network on pairs of held-out stills.

    Returns:
        For each method: "px", the error of the upsampled flow at every pixel, in pixels; "cells",
        the error against the exact flow's average over each cell, in cells; and the latter for
        small, medium and large motion (SPEEDS).
    """
    methods: dict[str, CellFlow] = {
        "zero": network_flow(ZeroFlow()),
        "DIS": network_flow(DIS()),
        args.net: network_flow(net),
    }
    pairs = SyntheticFlowPairs(
        stills[::HELD_OUT_EVERY], length=args.eval_pairs, size=tuple(args.size), seed=2**31
    )
    loader = DataLoader(pairs, args.batch_size, num_workers=args.workers)
    pixel_errors = {name: [] for name in methods}
    cell_errors = {name: [] for name in methods}
    speeds = []
    net.eval()
    for batch in tqdm(loader, desc="measure"):
        exact = F.avg_pool2d(batch["flow"], CELL, ceil_mode=True) / CELL
        speeds.append(exact.norm(dim=1).flatten())
        for name, method in methods.items():
            flow = method(batch["key"], batch["neighbor"])
            cell_errors[name].append(end_point_error(flow, exact).flatten())
            fine = CELL * F.interpolate(flow, scale_factor=CELL, mode="bilinear")
            fine = fine[..., : args.size[0], : args.size[1]]
            pixel_errors[name].append(end_point_error(fine, batch["flow"]).flatten())
    net.train()
    speed = torch.cat(speeds)
    return {
        name: summarize(torch.cat(pixel_errors[name]), torch.cat(cell_errors[name]), speed)
        for name in methods
    }


def summarize(
    pixel_error: torch.Tensor, cell_error: torch.Tensor, speed: torch.Tensor
) -> dict[str, float]:
    by_speed = {
        f"cells, {name}": cell_error[(low <= speed) & (speed < high)].mean().item()
        for name, (low, high) in SPEEDS.items()
    }
    return {"px": pixel_error.mean().item(), "cells": cell_error.mean().item(), **by_speed}


def network_flow(net: nn.Module) -> CellFlow:
    @torch.inference_mode()
    def estimate(key: torch.Tensor, neighbor: torch.Tensor) -> torch.Tensor:
        return net.predictions(*normalized(net, {"key": key, "neighbor": neighbor}))[0].cpu()

    return estimate


if __name__ == "__main__":
    with one_sentence_errors():
        main()
