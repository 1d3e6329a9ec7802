import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fgfa.convert.torch_file import read_state_dict
from fgfa.errors import InputError


class RunsCode:
    """A pickle of it touches a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


STATE = OrderedDict(a=torch.arange(6.0).view(2, 3).T, b=torch.ones(1, dtype=torch.float16))


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "meta": {"epoch": 7, "CLASSES": ("a", "b")}},
        {"model": STATE, "iteration": 9, "optimizer": {"state": {0: torch.ones(2)}}},
    ],
    ids=["top", "state_dict", "model"],
)
def test_reads_the_state_dict(content: dict, path: Path):
    torch.save(content, path)
    arrays = read_state_dict(path)
    assert list(arrays) == ["a", "b"]
    assert np.array_equal(arrays["a"], [[0, 3], [1, 4], [2, 5]])
    assert {array.dtype for array in arrays.values()} == {np.dtype("f4")}


@pytest.mark.parametrize(
    "tensor",
    [torch.tensor(3), torch.tensor(3.0, dtype=torch.bfloat16), nn.Parameter(torch.tensor(3.0))],
)
def test_reads_other_tensors(tensor: torch.Tensor, path: Path):
    torch.save({"a": tensor}, path)
    assert read_state_dict(path) == {"a": 3}


@pytest.mark.parametrize(
    "content",
    [
        {},
        [torch.ones(1)],
        {"a": 1},
        {"a": torch.ones(1), "epoch": 3},
        {1: torch.ones(1)},
        {"state_dict": {}},
        {"model": torch.ones(1)},
    ],
)
def test_refuses_a_file_without_state_dict(content: object, path: Path):
    torch.save(content, path)
    with pytest.raises(InputError, match="has no state dict of tensors under state_dict or model"):
        read_state_dict(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4 not a zip", b"\x80\x02broken"])
def test_refuses_other_files(content: bytes, path: Path):
    path.write_bytes(content)
    with pytest.raises(InputError, match="is broken, no PyTorch checkpoint"):
        read_state_dict(path)


def test_refuses_a_missing_file(path: Path):
    with pytest.raises(InputError, match="does not exist"):
        read_state_dict(path)


@pytest.mark.parametrize("save", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_runs_no_code_of_the_file(save, path: Path, tmp_path: Path):
    save({"a": torch.ones(1), "b": RunsCode(tmp_path / "touched")}, path)
    with pytest.raises(InputError, match="holds more than tensors"):
        read_state_dict(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "tensor", [torch.ones(1).expand(2**40), torch.eye(3).to_sparse(), torch.ones(2, device="meta")]
)
def test_refuses_tensors_that_are_not_dense(tensor: torch.Tensor, path: Path):
    torch.save({"a": tensor}, path)
    with pytest.raises(InputError, match="a is not a dense tensor"):
        read_state_dict(path)
