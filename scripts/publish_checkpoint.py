#!/usr/bin/env python
r"""Makes a trained checkpoint one that comes with fgfa, by a name, with its model card.

    python scripts/publish_checkpoint.py output/model_final.pth fgfa://vid_mini/fgfa_rfcn_lite0 \
        --config-file configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml --results results.json \
        --command "python scripts/pretrain_flow.py ..." --command "python projects/FGFA/..."

Keeps the weights alone, in half precision, and writes them to checkpoints/vid_mini/ in the package,
with a card that states their SHA-256. The same weights give the same file, so that it can be
evaluated by its name first, and the card written again with --results.
"""

import argparse
import datetime
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from fgfa import load_config, model_zoo
from fgfa.convert.name_table import check_complete
from fgfa.convert.torch_file import read_state_dict
from fgfa.errors import InputError, one_sentence_errors
from fgfa.files import atomic_write
from publishing.half_precision import checkpoint_bytes, largest_rounding_error, to_half
from publishing.model_card import VID_MINI, Release, model_card
from publishing.results_table import read_results, results_table

_NAME = re.compile(rf"{model_zoo.PREFIX}\w+(/\w+)*", re.ASCII)
# The device on which the model is built, and weights that it does not need.
_BUILD = (
    *("MODEL.DEVICE", "cpu", "MODEL.TIMM.PRETRAINED", False),
    *("MODEL.EFFICIENTNET_LITE.PRETRAINED", False),
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("src", metavar="SRC", type=Path, help="the checkpoint of a training")
    parser.add_argument("name", metavar="NAME", help="such as fgfa://vid_mini/fgfa_rfcn_lite0")
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    parser.add_argument(
        "--command",
        action="append",
        default=[],
        metavar="TEXT",
        help="that trained it; once more for each further one",
    )
    parser.add_argument("--data", metavar="TEXT", default=VID_MINI, help="default: %(default)s")
    parser.add_argument(
        "--results", metavar="JSON", type=Path, help="what scripts/evaluate.py --output wrote"
    )
    parser.add_argument(
        "--folder",
        metavar="DIR",
        type=Path,
        default=model_zoo.FOLDER,
        help="where to write (default: the package's own folder)",
    )
    parser.add_argument(
        "--max-mb",
        metavar="MB",
        type=float,
        default=25,
        help="the largest file to publish, 10^6 bytes (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    if _NAME.fullmatch(args.name) is None:
        parser.error(f"NAME is {model_zoo.PREFIX} and words between slashes, not {args.name}")
    return args


def read_weights(path: Path, cfg: CfgNode) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint, which must be exactly those of the config's model.

    Raises:
        InputError: if the file cannot be read, or is of another model.
    """
    arrays = read_state_dict(path)
    state = build_model(cfg).state_dict()
    check_complete(arrays, {name: value.shape for name, value in state.items()}, str(path))
    return {name: torch.from_numpy(arrays[name]).to(state[name].dtype) for name in state}


def check_size(content: bytes, max_mb: float) -> None:
    if len(content) > max_mb * 1e6:
        raise InputError(
            f"the file would have {len(content) / 1e6:.1f} MB, above the {max_mb:g} MB of "
            "--max-mb; publish a smaller model, such as one of a lower MODEL.FLOW_NET.WIDTH"
        )


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args.config_file, _BUILD)
    results = results_table(read_results(args.results), args.name) if args.results else ""
    weights = read_weights(args.src, cfg)
    halves = to_half(weights)
    content = checkpoint_bytes(halves)
    check_size(content, args.max_mb)
    release = Release(
        name=args.name,
        config_file=args.config_file,
        cfg=cfg,
        weights=halves,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        rounding_error=largest_rounding_error(weights, halves),
        data=args.data,
        commands=args.command,
        results=results,
        date=datetime.date.today(),
    )
    path = args.folder / f"{args.name.removeprefix(model_zoo.PREFIX)}.pth"
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    with atomic_write(path.with_suffix(".md")) as temporary:
        temporary.write_text(model_card(release), encoding="utf-8")
    print(
        f"{path}: {len(content) / 1e6:.1f} MB, rounded by at most {release.rounding_error:.1e} of "
        f"the largest value of a tensor\n{path.with_suffix('.md')}: its card, SHA-256 "
        f"{release.sha256}"
    )


if __name__ == "__main__":
    with one_sentence_errors():
        main()
