"""Reader of MXNet's `.params` files, without MXNet.

A file is a list of arrays and a list of their names. All numbers are little-endian:

    uint64 0x112, uint64 reserved
    uint64 count, then each array
    uint64 count, then each name: uint64 length, UTF-8

An array is, by its version (the source is `src/ndarray/ndarray.cc` of MXNet):

    version 0   uint32 axes, uint32 for each axis
    version 1   uint32 0xF993FAC8, int32 axes, int64 for each axis
    version 2   uint32 0xF993FAC9, int32 storage type (0 is dense), then as version 1
    version 3   uint32 0xF993FACA, then as version 2

and then int32 device type, int32 device number, int32 data type, and the values. Nothing that a
file says is trusted before its remaining bytes bear it out.
"""

import contextlib
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from fgfa.errors import InputError
from fgfa.files import refuse_special

_LIST_MAGIC = 0x112
_WITH_LONG_SHAPE = 0xF993FAC8
_WITH_STORAGE = (0xF993FAC9, 0xF993FACA)
_DENSE = 0
_MOST_AXES = 32  # of an array in MXNet and in older NumPy
_DTYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}
_KINDS = ("arg:", "aux:")


def is_mxnet_file(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as a list of MXNet arrays does.

    Raises:
        InputError: where it cannot be read.
    """
    with _opened(path) as file:
        return file.read(8) == struct.pack("<Q", _LIST_MAGIC)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The parameters of a file, by their names without the prefixes `arg:` and `aux:`.

    Raises:
        InputError: see `read_arrays`; or where a name is there with both prefixes.
    """
    arrays: dict[str, np.ndarray] = {}
    for key, array in read_arrays(path).items():
        name = key[len(_KINDS[0]) :] if key.startswith(_KINDS) else key
        if name in arrays:
            raise InputError(f"{path} has {name} both as a parameter and as a state; remove one")
        arrays[name] = array
    return arrays


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a file by name, in its order.

    No more memory is used than the file is large.

    Raises:
        InputError: where the file cannot be read, is not such a file, is not complete, or has
            arrays without a name or values, sparse ones, or ones of an unknown data type.
    """
    with _opened(path) as file:
        return _Reader(file, path).read()


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    try:
        refuse_special(path)
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path") from error


class _Reader:
    """One pass through a file."""

    def __init__(self, file: BinaryIO, path: str | os.PathLike[str]) -> None:
        self._file = file
        self._path = path
        self._size = os.fstat(file.fileno()).st_size

    def read(self) -> dict[str, np.ndarray]:
        magic, _reserved = self._numbers("QQ", "the head of the file")
        if magic != _LIST_MAGIC:
            self._fail("this is not a list of MXNet arrays")
        arrays = [self._array() for _ in range(self._numbers("Q", "the number of arrays")[0])]
        (count,) = self._numbers("Q", "the number of names")
        if count != len(arrays):
            self._fail(f"{len(arrays)} arrays have {count} names")
        named: dict[str, np.ndarray] = {}
        for array in arrays:
            name = self._name()
            if name in named:
                self._fail(f"the name {name!r} is there twice")
            named[name] = array
        if self._remaining():
            self._fail(f"{self._remaining()} bytes follow the last name")
        return named

    def _array(self) -> np.ndarray:
        shape = self._shape()
        if not 0 < len(shape) <= _MOST_AXES or min(shape) <= 0:
            self._fail(f"an array has the shape {shape}, which no weights have")
        _device, _number, type_flag = self._numbers("iii", "the data type of an array")
        if type_flag not in _DTYPES:
            self._fail(f"an array has the unknown data type {type_flag}")
        dtype = np.dtype(_DTYPES[type_flag])
        count = math.prod(shape)
        self._expect(count * dtype.itemsize, f"an array of shape {shape}")
        return np.fromfile(self._file, dtype, count).reshape(shape)

    def _shape(self) -> tuple[int, ...]:
        (head,) = self._numbers("I", "the head of an array")
        if head in _WITH_STORAGE:
            (storage,) = self._numbers("i", "the storage type of an array")
            if storage != _DENSE:
                self._fail(f"an array is sparse (storage type {storage}); save it as a dense one")
        if head == _WITH_LONG_SHAPE or head in _WITH_STORAGE:
            (axes,) = self._numbers("i", "the number of axes")
            letter = "q"
        else:
            axes, letter = head, "I"
        if not 0 <= axes <= _MOST_AXES:
            self._fail(f"an array has {axes} axes")
        return self._numbers(letter * axes, "the shape of an array")

    def _name(self) -> str:
        (length,) = self._numbers("Q", "the length of a name")
        self._expect(length, "a name")
        try:
            return self._file.read(length).decode()
        except UnicodeDecodeError:
            self._fail("a name is not UTF-8")

    def _numbers(self, letters: str, what: str) -> tuple[int, ...]:
        layout = struct.Struct(f"<{letters}")
        self._expect(layout.size, what)
        return layout.unpack(self._file.read(layout.size))

    def _expect(self, size: int, what: str) -> None:
        if size > self._remaining():
            self._fail(f"{what} takes {size} bytes, and {self._remaining()} are left")

    def _remaining(self) -> int:
        return self._size - self._file.tell()

    def _fail(self, what: str) -> NoReturn:
        raise InputError(
            f"{self._path}, at byte {self._file.tell()}: {what}; fetch the file again, or check "
            "that it is an MXNet .params file"
        )
