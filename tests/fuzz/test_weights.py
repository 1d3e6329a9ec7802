"""Hostile files of weights."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from torch import nn

from fgfa.checkpoint import FGFACheckpointer
from fgfa.convert.mxnet_file import read_checkpoint
from fgfa.convert.torch_file import read_state_dict
from fgfa.errors import InputError


def test_params(fuzz, write_mxnet_params) -> None:
    path = fuzz.folder / "a.params"
    arrays = {"conv_weight": np.ones((2, 3)), "bn_moving_mean": np.zeros(4), "b": np.ones(1)}
    write_mxnet_params(path, arrays)
    fuzz.run(read_checkpoint, "a.params", [path.read_bytes()], share=2)


STATE = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2, dtype=torch.float16)}


def saved(content: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts(zipped: bool, fuzz) -> None:
    fuzz.run(read_state_dict, "a.pth", [saved({"model": STATE}, zipped), saved(STATE, zipped)])


@pytest.mark.parametrize("suffix", [".pth", ".pyth", ".pkl"])
def test_checkpoints(suffix: str, fuzz, tiny_cfg: CfgNode) -> None:
    arrays = {key: value.numpy() for key, value in STATE.items()}
    contents = {
        ".pth": saved({"model": STATE, "iteration": 7, "note": {"a": [1, "b"]}}),
        ".pyth": saved({"model_state": STATE}),
        ".pkl": pickle.dumps({"model": arrays, "__author__": "a", "matching_heuristics": True}),
    }

    def load(path: Path) -> None:
        FGFACheckpointer(nn.Linear(3, 2), tiny_cfg, for_training=True).load(str(path))

    fuzz.run(load, f"a{suffix}", [contents[suffix]])


class RunsCode:
    """A pickle of it makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pth", ".pyth", ".pkl"])
@pytest.mark.parametrize("place", ["model", "model_state", "trainer", "note"])
def test_checkpoints_run_no_code(place: str, suffix: str, tiny_cfg: CfgNode, fuzz) -> None:
    path, touched = fuzz.folder / f"a{suffix}", fuzz.folder / "touched"
    content = {"model": STATE, "model_state": STATE, place: RunsCode(touched)}
    path.write_bytes(pickle.dumps(content) if suffix == ".pkl" else saved(content))
    with pytest.raises(InputError, match=rf"a\{suffix} \(MODEL.WEIGHTS\) is broken"):
        FGFACheckpointer(nn.Linear(3, 2), tiny_cfg).load(str(path))
    assert not touched.exists()


def test_checkpoints_of_the_model_zoo_are_read(tiny_cfg: CfgNode, tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    weights = {"weight": np.full((2, 3), 7, np.float32), "bias": np.zeros(2, np.float32)}
    content = {"model": weights, "__author__": "a", "size": np.float64(3)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=2))
    FGFACheckpointer(model, tiny_cfg).load(str(tmp_path / "a.pkl"))
    assert (model.weight == 7).all()


@pytest.mark.parametrize(
    "value",
    [
        *(np.array([None]), np.array(["a"]), np.zeros(2, "M8[s]"), 5, None),
        *(torch.ones(2).to_sparse(), torch.ones(2, device="meta"), {"a": torch.ones(2)}),
        torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
    ],
    ids=repr,
)
def test_weights_that_are_no_numbers(value: object, tiny_cfg: CfgNode, fuzz) -> None:
    path = fuzz.folder / ("a.pth" if isinstance(value, torch.Tensor) else "a.pkl")
    content = {"model": {"bias": value}, "__author__": "a"}
    path.write_bytes(pickle.dumps(content) if path.suffix == ".pkl" else saved(content))
    with fuzz.case(path), pytest.raises(InputError, match="is broken"):
        FGFACheckpointer(nn.Linear(3, 2), tiny_cfg).load(str(path))


@pytest.mark.parametrize("state", [5, [], {}, {"state": {}, "param_groups": []}])
def test_state_of_another_training(state: object, tiny_cfg: CfgNode, fuzz) -> None:
    path, model = fuzz.folder / "a.pth", nn.Linear(3, 2)
    path.write_bytes(saved({"model": STATE, "optimizer": state}))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with fuzz.case(path), pytest.raises(InputError, match="does not fit the training"):
        FGFACheckpointer(model, tiny_cfg, optimizer=optimizer).load(str(path))


class MakesBytes:
    def __reduce__(self) -> tuple:
        return bytearray, (1 << 32,)


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoint_that_makes_many_bytes(zipped: bool, fuzz) -> None:
    path = fuzz.folder / "a.pth"
    path.write_bytes(saved({"a": MakesBytes()}, zipped))
    with fuzz.case(path), pytest.raises(InputError, match=r"a\.pth is broken"):
        read_state_dict(path)


def test_compressed_checkpoint_is_not_unpacked(fuzz) -> None:
    path = fuzz.folder / "a.pth"
    plain = io.BytesIO(saved({"a": torch.zeros(1 << 24)}))
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for entry in source.infolist():
            file.writestr(entry.filename, source.read(entry))
    plain.close()
    with fuzz.case(path), pytest.raises(InputError, match="broken"):
        read_state_dict(path)
