import os
import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fgfa.convert.mxnet_file import is_mxnet_file, read_arrays, read_checkpoint
from fgfa.errors import InputError

SAMPLES = ["sample-0000", "sample_legacyV0-0000", "sample_legacyV1-0000"]
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
HUGE = 2**62


def _array(
    values: np.ndarray | None = None,
    *,
    magic: int = V2,
    storage: int = 0,
    shape: Sequence[int] = (2,),
    flag: int = 0,
) -> bytes:
    head = struct.pack("<Ii", magic, storage) + struct.pack(f"<i{len(shape)}q", len(shape), *shape)
    values = np.zeros(2, "<f4") if values is None else values
    return head + struct.pack("<3i", 1, 0, flag) + values.tobytes()


def _file(
    arrays: Sequence[bytes] = (_array(),),
    names: Sequence[bytes] = (b"a",),
    *,
    magic: int = 0x112,
    count: int | None = None,
    name_count: int | None = None,
) -> bytes:
    count = len(arrays) if count is None else count
    name_count = len(names) if name_count is None else name_count
    head = struct.pack("<3Q", magic, 0, count)
    tail = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    return head + b"".join(arrays) + struct.pack("<Q", name_count) + tail


@pytest.fixture(scope="module")
def samples(shared_dir: Path) -> dict[str, bytes]:
    return {name: (shared_dir / "golden" / f"{name}.params").read_bytes() for name in SAMPLES}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.params"


@pytest.mark.parametrize("name", SAMPLES)
def test_reads_all_versions_as_mxnet_does(name: str, shared_dir: Path):
    arrays = read_arrays(shared_dir / "golden" / f"{name}.params")
    expected = np.load(shared_dir / "golden" / "sample_params_expected.npz")
    assert {key.replace(":", "__") for key in arrays} == set(expected.files)
    for key, array in arrays.items():
        values = expected[key.replace(":", "__")]
        assert array.dtype == values.dtype
        assert np.array_equal(array, values)


@pytest.mark.parametrize("magic", [V2, V3])
@pytest.mark.parametrize(("flag", "dtype"), [(3, "u1"), (5, "i1"), (6, "<i8")])
def test_reads_integers(magic: int, flag: int, dtype: str, path: Path):
    values = np.array([[1, 2, 3]], dtype)
    path.write_bytes(_file([_array(values, magic=magic, shape=(1, 3), flag=flag)]))
    (array,) = read_arrays(path).values()
    assert array.dtype == np.dtype(dtype)
    assert np.array_equal(array, values)


def test_arrays_can_be_written_to_and_do_not_change_the_file(path: Path):
    path.write_bytes(_file())
    read_arrays(path)["a"][:] = 1
    assert np.array_equal(read_arrays(path)["a"], [0, 0])


def test_checkpoint_is_without_prefixes(path: Path):
    path.write_bytes(_file([_array()] * 3, [b"arg:a", b"aux:b", b"other:arg:c"]))
    assert list(read_checkpoint(path)) == ["a", "b", "other:arg:c"]


def test_checkpoint_refuses_a_name_of_both_kinds(path: Path):
    path.write_bytes(_file([_array()] * 2, [b"arg:a", b"aux:a"]))
    with pytest.raises(InputError, match="has a both as a parameter and as a state"):
        read_checkpoint(path)


def test_is_mxnet_file(path: Path):
    path.write_bytes(_file())
    assert is_mxnet_file(path)
    path.write_bytes(b"PK\3\4 and more")
    assert not is_mxnet_file(path)
    path.write_bytes(b"")
    assert not is_mxnet_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "at byte 0: the head of the file takes 16 bytes, and 0 are left"),
        (_file(magic=0x113), "at byte 16: this is not a list of MXNet arrays"),
        (_file(count=2), r"an array has the shape \(0,\)"),
        (_file([], [], count=2**64 - 1), "the shape of an array takes|has the shape"),
        (_file(names=[]), "1 arrays have 0 names"),
        (_file(name_count=HUGE), f"1 arrays have {HUGE} names"),
        (_file([_array()] * 2, [b"a", b"a"]), "the name 'a' is there twice"),
        (_file(names=[b"\xff"]), "a name is not UTF-8"),
        (
            _file(names=[b""])[:-8] + struct.pack("<Q", HUGE),
            f"a name takes {HUGE} bytes, and 0 are",
        ),
        (_file() + b"\0", "1 bytes follow the last name"),
        (_file([_array(storage=1)]), "an array is sparse"),
        (_file([_array(storage=-1)]), "an array is sparse"),
        (_file([_array(flag=7)]), "an array has the unknown data type 7"),
        (_file([_array(flag=-1)]), "an array has the unknown data type -1"),
        (_file([_array(shape=())]), r"an array has the shape \(\)"),
        (_file([_array(shape=(2, 0))]), r"an array has the shape \(2, 0\)"),
        (_file([_array(shape=(-1, -2))]), r"an array has the shape \(-1, -2\)"),
        (_file([_array(shape=(1,) * 33)]), "an array has 33 axes"),
        (_file([struct.pack("<Iii", V2, 0, -1)]), "an array has -1 axes"),
        (_file([struct.pack("<I", 0xF993FACB)]), "an array has 4187224779 axes"),
        # In 64 bits the values are 0 and 4.
        (_file([_array(shape=(HUGE, 4))]), "takes 73786976294838206464 bytes"),
        (_file([_array(shape=(HUGE + 1, 4))]), "takes 73786976294838206480 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_file_gives_one_sentence(content: bytes, message: str, path: Path):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_arrays(path)
    assert str(caught.value).startswith(f"{path}, at byte ")


def test_missing_file_and_folder_give_one_sentence(tmp_path: Path):
    for path in (tmp_path / "none.params", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_arrays(path)
        with pytest.raises(InputError, match="cannot be read"):
            is_mxnet_file(path)


@pytest.mark.parametrize(
    "content",
    [
        _file([_array(shape=(2**30,))]),
        _file(names=[b"a" * 50])[:-50] + b"a",
        _file([], [], count=2**60),
        _file(count=1, name_count=2**60),
    ],
)
def test_no_memory_is_taken_for_bytes_that_are_not_there(content: bytes, path: Path):
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(InputError):
        read_arrays(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(SAMPLES),
    cut=st.integers(0, 2**32),
    changes=st.lists(
        # Most bytes are values; the heads of arrays and the names are what a change can break.
        st.tuples(st.one_of(st.integers(0, 120), st.integers(-700, -1)), st.binary(min_size=1)),
        max_size=4,
    ),
    truncated=st.booleans(),
)
def test_a_damaged_file_gives_arrays_or_one_sentence(
    name: str,
    cut: int,
    changes: list[tuple[int, bytes]],
    truncated: bool,
    samples: dict[str, bytes],
    path: Path,
):
    content = bytearray(samples[name])
    for place, new in changes:
        start = place % len(content)
        content[start : start + len(new)] = new
    path.write_bytes(content[: cut % len(content)] if truncated else content)
    try:
        arrays = read_arrays(path)
    except InputError:
        return
    assert not truncated
    assert sum(array.nbytes for array in arrays.values()) < os.path.getsize(path)
