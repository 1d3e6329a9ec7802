import logging
import re
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from fgfa import load_config
from fgfa.checkpoint import FGFACheckpointer
from fgfa.convert.mxnet import sources
from fgfa.convert.name_table import rename
from fgfa.errors import InputError
from fgfa.modeling import build_flow_net

ROOT = Path(__file__).parents[2]
main = runpy.run_path(str(ROOT / "scripts" / "convert_weights.py"))["main"]
WriteParams = Callable[[Path, Mapping[str, np.ndarray]], None]


def _config(*opts: object) -> CfgNode:
    path = ROOT / "configs" / "imagenet_vid" / "fgfa_rfcn_R_101.yaml"
    return load_config(str(path), ["MODEL.DEVICE", "cpu", *opts])


@pytest.fixture(scope="module")
def flow_shapes() -> dict[str, torch.Size]:
    """Those of our flow network."""
    cfg = _config()
    with torch.device("meta"):
        return {name: v.shape for name, v in build_flow_net(cfg).state_dict().items()}


@pytest.fixture(scope="module")
def flow_arrays(flow_shapes: dict[str, torch.Size]) -> dict[str, np.ndarray]:
    """A flow network by the original's names: zeros, but for one bias."""
    arrays = {
        rule.pattern: np.zeros(flow_shapes[rule.target.removeprefix("flow_net.")], np.float32)
        for rule in next(s for s in sources() if s.holds == "flow network").rules
    }
    return arrays | {"Convolution1_bias": np.array([1, 2], np.float32)}


@pytest.fixture(scope="module")
def flow_file(
    flow_arrays: dict[str, np.ndarray],
    write_mxnet_params: WriteParams,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("flow") / "flownet-0000.params"
    write_mxnet_params(path, flow_arrays)
    return path


@pytest.mark.parametrize("options", [[], ["--source", "mxnet"]])
def test_flow_net_is_complete_and_recognized(
    options: list[str],
    flow_file: Path,
    flow_shapes: dict[str, torch.Size],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
):
    main([str(flow_file), str(tmp_path / "flow.pth"), *options])
    printed = capsys.readouterr().out
    assert "flow network of mxnet, 46 weights" in printed
    assert "MODEL.FLOW_NET.WEIGHTS of configs/imagenet_vid/fgfa_rfcn_R_101.yaml" in printed
    weights = torch.load(tmp_path / "flow.pth", weights_only=True)["model"]
    assert {name: weight.shape for name, weight in weights.items()} == flow_shapes
    assert weights["predict_flow6.bias"].tolist() == [1, 2]


def test_pytorch_file_is_recognized(
    flow_shapes: dict[str, torch.Size], tmp_path: Path, capsys: pytest.CaptureFixture
):
    """One of FlowNetPytorch, which has no biases in layers that predict or upsample flow."""
    state = {}
    for name, shape in flow_shapes.items():
        theirs = re.sub(r"^((?:de)?conv\w+)", r"\1.0", name)
        theirs = re.sub(r"^upsample_flow(\d)to(\d)", r"upsampled_flow\1_to_\2", theirs)
        if not re.fullmatch(r".*_flow\w+\.bias", name):
            state[theirs] = torch.zeros(shape)
    state["conv2.0.bias"][:2] = torch.tensor([1, 2])
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "theirs.pth")
    main([str(tmp_path / "theirs.pth"), str(tmp_path / "ours.pth")])
    assert "of flownet, 46 weights" in capsys.readouterr().out
    weights = torch.load(tmp_path / "ours.pth", weights_only=True)["model"]
    assert {name: weight.shape for name, weight in weights.items()} == flow_shapes
    assert weights["conv2.bias"][:3].tolist() == [1, 2, 0]


def test_incomplete_file_is_named_and_nothing_is_written(
    flow_arrays: dict[str, np.ndarray], write_mxnet_params: WriteParams, tmp_path: Path
):
    path, dst = tmp_path / "flow.params", tmp_path / "flow.pth"
    for name in ("conv4_weight", "conv4_bias"):
        write_mxnet_params(path, {k: v for k, v in flow_arrays.items() if k != name})
        with pytest.raises(InputError, match=rf"flow.params: 1 arrays \(\S+ \(in the file: {name}"):
            main([str(path), str(dst)])
    assert not dst.exists()


def test_array_of_another_shape_is_named(
    flow_arrays: dict[str, np.ndarray], write_mxnet_params: WriteParams, tmp_path: Path
):
    path = tmp_path / "flow.params"
    write_mxnet_params(path, flow_arrays | {"conv4_bias": np.zeros(3, np.float32)})
    with pytest.raises(InputError, match=r"flow_net.conv4.bias .* has shape \(3,\) where .*512"):
        main([str(path), str(tmp_path / "flow.pth")])


@pytest.mark.parametrize(
    ("content", "source", "message"),
    [
        (b"text", "mxnet", "takes 16 bytes, and 4 are left"),
        (b"text", "mega", "is broken, no PyTorch checkpoint"),
        (b"text", None, "is broken, no PyTorch checkpoint"),
    ],
)
def test_broken_file_gives_one_sentence(
    content: bytes, source: str | None, message: str, tmp_path: Path
):
    (tmp_path / "src").write_bytes(content)
    options = [] if source is None else ["--source", source]
    with pytest.raises(InputError, match=message):
        main([str(tmp_path / "src"), str(tmp_path / "dst.pth"), *options])


def test_file_of_another_source_is_refused(flow_file: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no PyTorch checkpoint"):
        main([str(flow_file), str(tmp_path / "flow.pth"), "--source", "mmtracking"])
    torch.save({"flow_conv1.weight": torch.ones(1)}, tmp_path / "theirs.pth")
    with pytest.raises(
        InputError, match=r"\(flow_conv1\.weight\) are those of none of mmtracking;"
    ):
        main([str(tmp_path / "theirs.pth"), str(tmp_path / "flow.pth"), "--source", "mmtracking"])


def test_paths_that_cannot_be_used(flow_file: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.params does not exist"):
        main([str(tmp_path / "none.params"), str(tmp_path / "dst.pth")])
    with pytest.raises(InputError, match=r"does not end in \.pth"):
        main([str(flow_file), str(tmp_path / "dst.params")])
    link = tmp_path / "link.pth"
    link.symlink_to(flow_file)
    with pytest.raises(InputError, match="is the file to convert itself"):
        main([str(flow_file), str(link)])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        main([str(flow_file), str(tmp_path / "file" / "dst.pth")])


@pytest.mark.parametrize("arguments", [[], ["src"], ["--list"]])
def test_arguments_that_do_not_suffice(arguments: list[str]):
    with pytest.raises(SystemExit):
        main(arguments)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("mxnet", "res3b2_branch2a_weight -> backbone.body.res3.2.conv1.weight"),
        ("mxnet", "fc1000_(?:weight|bias) -> not needed  (ImageNet's classifier)"),
        ("mmtracking", r"aggregator\.embed_convs\.0\.conv\.(weight|bias) -> embedding.0.\1"),
        ("mega", r"embednet\.embed_conv1\.(weight|bias) -> embedding.0.\1"),
        ("flownet", r"flow_conv1\.bias -> flow_net.conv1.bias"),
    ],
)
def test_list_prints_the_table(source: str, line: str, capsys: pytest.CaptureFixture):
    main(["--list", "--source", source])
    assert f"    {line}\n" in capsys.readouterr().out


@pytest.mark.slow
def test_full_size_file_gives_the_weights_as_they_are(
    original_params_file: Path,
    original_weights: dict[str, np.ndarray],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    path = tmp_path / "fgfa.pth"
    main([str(original_params_file), str(path), "--box-weights", "train"])
    cfg = _config("MODEL.WEIGHTS", str(path))
    model = build_model(cfg)
    with caplog.at_level(logging.WARNING):
        FGFACheckpointer(model, cfg).load(cfg.MODEL.WEIGHTS)
    assert not caplog.records
    rules = next(s for s in sources("train") if s.holds == "FGFA").rules
    expected = rename(original_weights, rules, "the goldens")
    state = model.state_dict()
    assert state.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(state[name].numpy(), array), name
