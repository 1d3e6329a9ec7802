"""Exported programs as ONNX files, in standard operators alone."""

import importlib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from fgfa.errors import InputError
from fgfa.files import atomic_write
from fgfa.layers import plain_operators

_OPSET = 18
_FLOAT = 1  # onnx.TensorProto.FLOAT
_ALL = 2**63 - 1


def save_onnx(
    program: ExportedProgram,
    path: Path,
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> None:
    """Writes a program as ONNX; our own operators become standard ones.

    Args:
        program: from `export_programs`.
        path: the .onnx file.
        input_names: names of its inputs, in order.
        output_names: names of its outputs, in order.

    Raises:
        InputError: where packages are missing, or PyTorch cannot translate an operator.
    """
    for package in ("onnx", "onnxscript"):
        import_package(package)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = torch.onnx.export(
                program.run_decompositions(
                    plain_operators() | {torch.ops.aten.mean.dim: _exact_mean}
                ),
                dynamo=True,
                verbose=False,
                opset_version=_OPSET,
                input_names=list(input_names),
                output_names=list(output_names),
                custom_translation_table={
                    torch.ops.torchvision.nms.default: _nms,
                    torch.ops.aten.remainder.Scalar: _remainder,
                    torch.ops.aten.sort.stable: _stable_sort,
                },
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(_first_cause(error)).strip().partition("\n")[0]
        raise InputError(f"{path.name} cannot be made: {reason}; leave onnx out") from error
    with atomic_write(path) as temporary:
        converted.save(temporary, external_data=False)


def _first_cause(error: BaseException) -> BaseException:
    return error if error.__cause__ is None else _first_cause(error.__cause__)


def import_package(name: str) -> ModuleType:
    """Imports a package of the extra "export"."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"ONNX files need the package {name}: `pip install 'fgfa[export]'`, or leave onnx out"
        ) from error


def _exact_mean(
    x: Tensor, dim: Sequence[int], keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """A mean whose last digit is the same for the same numbers, in whatever order they are added.

    R-FCN gives all boxes that cover the same cells of the map the same score, and the first of them
    is to stay.
    """
    mean = x.double().sum(dim, keepdim) / math.prod(x.shape[i] for i in dim)
    return mean.to(dtype or x.dtype)


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    # Runtimes take float32 alone, and break ties as they like: scores are replaced by ranks.
    op = importlib.import_module("onnxscript").opset18
    count = op.Shape(scores)
    _, order = op.TopK(scores, count, axis=0)
    ranks = op.Range(op.Squeeze(count), op.Constant(value_int=0), op.Constant(value_int=-1))
    boxes = op.Unsqueeze(op.Cast(op.Gather(boxes, order), to=_FLOAT), [0])  # (batch, N, 4)
    ranks = op.Unsqueeze(op.Cast(ranks, to=_FLOAT), [0, 1])  # (batch, class, N)
    chosen = op.NonMaxSuppression(boxes, ranks, _ALL, iou_threshold)  # batch, class, index
    return op.Gather(order, op.Reshape(op.Slice(chosen, [2], [3], [1]), [-1]))


def _stable_sort(
    x: Any, stable: bool = True, dim: int = -1, descending: bool = False
) -> tuple[Any, Any]:
    # Of equal values TopK takes that of the lower index first.
    op = importlib.import_module("onnxscript").opset18
    count = op.Gather(op.Shape(x), op.Constant(value_ints=[dim]))
    return op.TopK(x, count, axis=dim, largest=int(descending))


def _remainder(x: Any, divisor: Any) -> Any:
    # onnxscript takes the divisor for a constant; in LegacyRPN it is a number of proposals.
    return importlib.import_module("onnxscript").opset18.Mod(x, divisor)
