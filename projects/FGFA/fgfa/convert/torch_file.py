"""Reader of the arrays in a PyTorch checkpoint; no code of the file is run."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fgfa.errors import InputError
from fgfa.plain_files import load_tensors

_KEYS = ("state_dict", "model")


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a file by name, float32.

    They are those under "state_dict", as MMCV and many trainings write it, under "model", as
    Detectron2 and mega.pytorch do, or at the top.

    Raises:
        InputError: where the file cannot be read, holds more than tensors and plain values, or has
            no state dict.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; check the path")
    try:
        content = load_tensors(path)
    except Exception as error:  # bytes that are no pickle can raise anything
        raise InputError(
            f"{path} is broken, no PyTorch checkpoint, or holds more than tensors and plain values "
            f"({type(error).__name__}); fetch it again, or save its state dict alone"
        ) from error
    state = _state_dict(content)
    if state is None:
        raise InputError(
            f"{path} has no state dict of tensors under {' or '.join(_KEYS)}, nor at the top; save "
            "it in one of these places"
        )
    return {name: _to_array(tensor, name, path) for name, tensor in state.items()}


def _state_dict(content: Any) -> dict[str, torch.Tensor] | None:
    for key in _KEYS:
        if isinstance(content, dict) and key in content:
            return _state_dict(content[key])
    if not isinstance(content, dict) or not content:
        return None
    is_state = all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in content.items())
    return dict(content) if is_state else None


def _to_array(tensor: torch.Tensor, name: str, path: str | os.PathLike[str]) -> np.ndarray:
    is_plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta)
    # A view that repeats a few bytes would take memory without bound when it is copied.
    if not is_plain or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise InputError(f"{path}: {name} is not a dense tensor; save it as one")
    return tensor.detach().float().numpy()
