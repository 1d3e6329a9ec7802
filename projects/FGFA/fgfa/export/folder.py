"""The folder of an exported model: its programs and what one must know to run them."""

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from fgfa.files import atomic_write

from .onnx_file import import_package, save_onnx
from .plan import ExportPlan

FORMATS = {"torch": ".pt2", "onnx": ".onnx"}
# Fields of `FrameEncoding`.
KEPT = ("feature", "embedding", "flow_key", "flow_neighbor")
NAMES = {
    "frame": (("image",), KEPT),
    "window": (tuple(f"{name}s" for name in KEPT), ("boxes", "scores", "classes")),
}

Program = Callable[..., Sequence[Tensor]]


def save_programs(
    frame: ExportedProgram, window: ExportedProgram, folder: Path, formats: Sequence[str]
) -> list[Path]:
    """Writes frame.pt2 and window.pt2 (torch), frame.onnx and window.onnx (onnx).

    Returns:
        The files.

    Raises:
        InputError: see `save_onnx`.
    """
    paths = []
    for (name, names), program in zip(NAMES.items(), (frame, window), strict=True):
        for file_format in formats:
            path = folder / f"{name}{FORMATS[file_format]}"
            if file_format == "onnx":
                save_onnx(program, path, *names)
            else:
                with atomic_write(path) as temporary:
                    torch.export.save(program, temporary)
            paths.append(path)
    return paths


def write_description(path: Path, facts: dict[str, Any]) -> None:
    """Writes export.json; a list of plain values is a line."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in facts.items()]
    with atomic_write(path) as temporary:
        temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def describe_tensors(frame: ExportedProgram, window: ExportedProgram) -> dict[str, list[dict]]:
    """Names, shapes and types of what goes in and out; N stands for a number that varies.

    Returns:
        frame_inputs, frame_outputs, window_inputs and window_outputs.
    """
    described = {}
    for (name, (inputs, outputs)), program in zip(NAMES.items(), (frame, window), strict=True):
        values = {node.name: node.meta.get("val") for node in program.graph.nodes}
        signature = program.graph_signature
        for side, names, nodes in (
            ("inputs", inputs, signature.user_inputs),
            ("outputs", outputs, signature.user_outputs),
        ):
            described[f"{name}_{side}"] = _tensors(names, [values[node] for node in nodes])
    return described


def _tensors(names: Sequence[str], values: Sequence[Tensor]) -> list[dict]:
    return [
        {
            "name": name,
            "shape": [side if isinstance(side, int) else "N" for side in value.shape],
            "type": str(value.dtype).removeprefix("torch."),
        }
        for name, value in zip(names, values, strict=True)
    ]


def load_programs(folder: Path, file_format: str) -> tuple[Program, Program]:
    """The two programs of a folder, as functions of tensors.

    Raises:
        InputError: if onnxruntime is missing for the format "onnx".
    """
    paths = [folder / f"{name}{FORMATS[file_format]}" for name in NAMES]
    if file_format == "onnx":
        return tuple(map(_load_onnx, paths))
    return tuple(torch.export.load(path).module() for path in paths)


def _load_onnx(path: Path) -> Program:
    runtime = import_package("onnxruntime")
    session = runtime.InferenceSession(path, providers=runtime.get_available_providers())
    names = [entry.name for entry in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        arrays = {n: x.cpu().numpy() for n, x in zip(names, inputs, strict=True)}
        return [torch.from_numpy(np.asarray(x)) for x in session.run(None, arrays)]

    return run


@torch.no_grad()
def detect(
    frame: Program, window: Program, plan: ExportPlan, images: Iterable[Tensor]
) -> Iterator[tuple[Sequence[Tensor], Sequence[Tensor]]]:
    """Runs the programs over the frames of a video.

    Args:
        frame: the program of a frame.
        window: the program of a window.
        plan: what they are made for.
        images: resized frames (3, H, W), uint8; at least one.

    Yields:
        For each frame what is kept of it, and its detections.
    """
    cache: deque[Sequence[Tensor]] = deque(maxlen=plan.reach)
    for number, image in enumerate(itertools.chain(images, [None] * plan.lookahead)):
        kept = cache[-1] if image is None else frame(image)
        cache.extend([kept] * (1 if cache else plan.reach))  # the first frame repeats, as the last
        if number >= plan.lookahead:
            frames = list(cache)[:: plan.frame_step]
            yield frames[plan.key], window(*map(torch.stack, zip(*frames, strict=True)))
