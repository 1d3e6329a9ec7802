"""Reader of one kind of MATLAB 5 files: a cell array of vectors of numbers.

Files that were made to do so end the process in `scipy.io.loadmat`. Here no size that a file states
is trusted before its bytes bear it out. The format is described in "MAT-File Format" of The
MathWorks, under "Level 5 MAT-File Format": after a head of 128 bytes come elements, each of them
uint32 type, uint32 size, and the data, filled up to a multiple of 8 bytes; or, for up to 4 bytes,
size and type as 16 bits each. A matrix is an element whose data are elements: flags, sizes of the
axes, name, and numbers or, of a cell array, matrices.
"""

import math
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fgfa.files import refuse_special

_HEAD = 128
_ORDERS = {b"IM": "<", b"MI": ">"}  # by the last bytes of the head
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"} | {
    12: "i8",
    13: "u8",
}
_CELLS = 1  # the class of a cell array; those of numbers:
_NUMERIC = range(6, 16)
# The official file grows by 10, one that was made to fill memory by 1000.
_MOST_GROWTH = 64
_ALWAYS_READ = 1 << 26  # bytes

Element = tuple[int, memoryview]


def read_vectors(path: str | os.PathLike[str], name: str) -> list[np.ndarray]:
    """The cells of a cell array (frames, 1).

    Takes some 10 times the memory of the file, where that is compressed 64 times.

    Args:
        path: the file.
        name: of the variable.

    Returns:
        One float64 array (n,) a cell, of a matrix (n, 1) or (1, n) of any type of numbers.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file; the text says what is wrong.
    """
    refuse_special(path)
    content = Path(path).read_bytes()
    order = _ORDERS.get(content[_HEAD - 2 : _HEAD])
    if order is None:
        raise ValueError("it has no head of a MATLAB 5 file")
    limit = max(_ALWAYS_READ, _MOST_GROWTH * len(content))
    for kind, data in _elements(memoryview(content)[_HEAD:], order):
        if kind == _COMPRESSED:
            kind, data = next(_elements(_decompressed(data, limit), order), (0, data))
        if kind != _MATRIX:
            raise ValueError(f"it has an element of type {kind} in the place of a variable")
        class_, axes, found, rest = _open_matrix(data, order)
        if found == name.encode():
            if class_ != _CELLS or len(axes) != 2 or axes[1] != 1:
                raise ValueError(f"its variable {name} is no cell array (frames, 1)")
            return _cells(rest, axes[0], order)
    raise ValueError(f"it has no variable {name}")


def _decompressed(data: memoryview, limit: int) -> memoryview:
    try:
        content = zlib.decompressobj().decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"a variable cannot be decompressed ({error})") from error
    if len(content) > limit:
        raise ValueError(f"a variable takes more than {limit >> 20} MB")
    return memoryview(content)


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """Yields type and data of each element."""
    head = struct.Struct(f"{order}II")
    position = 0
    while position < len(data):
        if len(data) - position < head.size:
            raise ValueError("it ends within an element")
        kind, size = head.unpack_from(data, position)
        start, room = position + head.size, len(data) - position - head.size
        if kind >> 16:
            kind, size, start, room = kind & 0xFFFF, kind >> 16, position + 4, 4
        if size > room:
            raise ValueError(f"an element says to have {size} bytes where {room} are")
        yield kind, data[start : start + size]
        end = start + size
        position = end if kind == _COMPRESSED else end + -(end - position) % head.size


def _open_matrix(
    data: memoryview, order: str
) -> tuple[int, tuple[int, ...], bytes, Iterator[Element]]:
    """Class, sizes of the axes, name, and the other elements of a matrix."""
    elements = _elements(data, order)
    (_, flags), (_, axes), (_, name) = (next(elements, (0, memoryview(b""))) for _ in range(3))
    if len(flags) != 8 or len(axes) % 4:
        raise ValueError("a matrix has no head")
    class_ = struct.unpack_from(f"{order}I", flags)[0] & 0xFF
    return class_, struct.unpack(f"{order}{len(axes) // 4}i", axes), bytes(name), elements


def _cells(elements: Iterator[Element], count: int, order: str) -> list[np.ndarray]:
    vectors = []
    for kind, data in elements:
        if kind != _MATRIX:
            raise ValueError(f"cell {len(vectors)} is no matrix")
        try:
            vectors.append(_vector(data, order))
        except ValueError as error:
            raise ValueError(f"cell {len(vectors)}: {error}") from error
    if len(vectors) != count:
        raise ValueError(f"it has {len(vectors)} of {count} cells")
    return vectors


def _vector(data: memoryview, order: str) -> np.ndarray:
    if not len(data):  # how an empty matrix may be written
        return np.zeros(0)
    class_, axes, _, elements = _open_matrix(data, order)
    kind, numbers = next(elements, (0, data))
    if class_ not in _NUMERIC or kind not in _NUMBERS:
        raise ValueError(f"a matrix of class {class_} holds no numbers")
    dtype = np.dtype(f"{order}{_NUMBERS[kind]}")
    is_vector = len(axes) == 2 and min(axes) in (0, 1)
    if not is_vector or math.prod(axes) * dtype.itemsize != len(numbers):
        raise ValueError(f"a matrix of shape {axes} is no vector of {len(numbers)} bytes")
    return np.frombuffer(numbers, dtype).astype(np.float64)
