"""Files of PyTorch and Python that are read without running code of theirs.

`torch.load` runs none by default since PyTorch 2.6. Who wants it to sets PyTorch's own environment
variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1; a pickle file then still is read as plain values.
"""

import mmap
import os
import pickle
import zipfile
from typing import Any

import torch

from fgfa.files import refuse_special

# What the pickles of arrays name; in NumPy 2 "core" is "_core".
_PLAIN = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")} | {
    (f"numpy.{core}.multiarray", name)
    for core in ("core", "_core")
    for name in ("_reconstruct", "scalar")
}
_PLAIN |= {("collections", "OrderedDict")}


def load_tensors(path: str | os.PathLike[str]) -> Any:
    """What `torch.save` wrote, if it is tensors and plain values.

    Raises:
        Exception: of any kind, where it holds more, or is broken.
    """
    check_memory(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def check_memory(path: str | os.PathLike[str]) -> None:
    """Refuses a file of PyTorch that would take more memory than the file is large.

    `torch.save` compresses nothing, but `torch.load` would unpack what is compressed; and of the
    functions that it lets a file call, `bytearray` makes as many bytes as the file says.

    Raises:
        ValueError: where it would.
        OSError: the file cannot be read.
    """
    refuse_special(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        is_packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if is_packed or sum(entry.file_size for entry in entries) > os.path.getsize(path):
            raise ValueError("it is compressed, or holds more bytes than it is large")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"\nbytearray\n") >= 0:
            raise ValueError("it makes a bytearray")


def load_arrays(path: str | os.PathLike[str]) -> Any:
    """What a pickle file holds, such as those of Detectron2's model zoo, if it is plain values.

    Raises:
        Exception: of any kind, where it holds more, or is broken.
    """
    refuse_special(path)
    with open(path, "rb") as file:
        return _PlainUnpickler(file, encoding="latin1").load()


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no plain value")
        return super().find_class(module, name)
