"""Loads the compiled module ``fgfa._C``, whose import registers ``torch.ops.fgfa``."""

from __future__ import annotations

import importlib
import warnings

import torch

_REBUILD = "To build them: `pip install --no-build-isolation -e .` in the repository's root."


def _load() -> frozenset[str]:
    """Returns the device types that have compiled operators; warns where they are missed."""
    try:
        module = importlib.import_module("fgfa._C")
    except ImportError as error:
        warnings.warn(
            f"fgfa runs without its compiled operators ({error}); slower, plain PyTorch versions "
            f"take their place. {_REBUILD}",
            stacklevel=2,
        )
        return frozenset()
    if module.WITH_CUDA:
        return frozenset({"cpu", "cuda"})
    if torch.cuda.is_available():
        warnings.warn(
            "The compiled operators of fgfa were built without CUDA; on a GPU plain PyTorch "
            f"versions take their place. {_REBUILD}",
            stacklevel=2,
        )
    return frozenset({"cpu"})


_COMPILED_DEVICES = _load()


def has_extension(device_type: str = "cpu") -> bool:
    """Returns whether the compiled operators run on tensors of a device type.

    Args:
        device_type: the ``type`` of a ``torch.device``, such as "cpu" or "cuda".
    """
    return device_type in _COMPILED_DEVICES
