"""The original's names; what the converted weights compute is tested in tests/parity."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

from fgfa import load_config
from fgfa.convert.mxnet import sources
from fgfa.convert.name_table import check_complete, choose_source, rename
from fgfa.errors import InputError

ROOT = Path(__file__).parents[2]
Arrays = dict[str, np.ndarray]
STDS = np.array([0.1, 0.1, 0.2, 0.2], np.float32)


@pytest.fixture(scope="module")
def arrays(shared_dir: Path) -> Arrays:
    """Zeros of the shapes of all parameters of the original."""
    parameters = json.loads((shared_dir / "golden" / "params.json").read_text())
    return {name: np.zeros(p["shape"], np.float32) for name, p in parameters.items()}


@pytest.fixture(scope="module")
def backbone(arrays: Arrays) -> Arrays:
    classifier = {"fc1000_weight": np.zeros((1000, 2048)), "fc1000_bias": np.zeros(1000)}
    return _starting_with(arrays, "conv1_", "bn", "res") | classifier


@pytest.fixture(scope="module")
def flow_net(arrays: Arrays) -> Arrays:
    levels = tuple(f"conv{level}" for level in "23456")
    return _starting_with(arrays, "flow_conv1", "Convolution", "deconv", "upsample", *levels)


def _starting_with(arrays: Arrays, *prefixes: str) -> Arrays:
    return {name: array for name, array in arrays.items() if name.startswith(prefixes)}


def _convert(arrays: Arrays, box_weights: str = "test") -> Arrays:
    return rename(arrays, choose_source(arrays, sources(box_weights), "file").rules, "file")


def _shapes_of_model(config: str) -> dict[str, tuple[int, ...]]:
    cfg = load_config(str(ROOT / config), ["MODEL.DEVICE", "meta"])
    with torch.device("meta"):
        state = build_model(cfg).state_dict()
    return {name: tuple(value.shape) for name, value in state.items()}


def test_fgfa_is_complete(arrays: Arrays):
    source = choose_source(arrays, sources(), "file")
    assert source.holds == "FGFA"
    assert len(arrays) == 582
    check_complete(_convert(arrays), _shapes_of_model(source.config), "file")


def test_baseline_is_complete(arrays: Arrays):
    detector = _starting_with(arrays, "conv1_", "bn", "res", "feat_conv", "rpn_", "rfcn_")
    source = choose_source(detector, sources(), "file")
    assert source.holds == "single-frame R-FCN"
    check_complete(_convert(detector), _shapes_of_model(source.config), "file")


@pytest.mark.parametrize(
    ("fixture", "holds", "part"),
    [
        ("backbone", "ImageNet backbone", "backbone.body."),
        ("flow_net", "flow network", "flow_net."),
    ],
)
def test_part_is_complete(fixture: str, holds: str, part: str, request: pytest.FixtureRequest):
    arrays = request.getfixturevalue(fixture)
    source = choose_source(arrays, sources(), "file")
    assert (source.holds, source.part) == (holds, part)
    expected = _shapes_of_model(source.config)
    expected = {name: shape for name, shape in expected.items() if name.startswith(part)}
    check_complete(_convert(arrays), expected, "file")


def test_flow_net_with_another_part_is_an_incomplete_model(flow_net: Arrays, arrays: Arrays):
    mixed = flow_net | _starting_with(arrays, "rpn_")
    source = choose_source(mixed, sources(), "file")
    with pytest.raises(InputError, match=r"backbone\.body\.stem\.conv1\.weight .*conv1_weight"):
        check_complete(_convert(mixed), _shapes_of_model(source.config), "file", source.rules)


@pytest.mark.parametrize("name", ["em_conv2_bias", "bn3b2_branch2a_moving_var", "deconv4_weight"])
def test_missing_array_is_named(name: str, arrays: Arrays):
    incomplete = {key: array for key, array in arrays.items() if key != name}
    source = choose_source(incomplete, sources(), "file")
    with pytest.raises(InputError, match=rf"1 arrays \(\S+ \(in the file: {name}\)\)"):
        check_complete(_convert(incomplete), _shapes_of_model(source.config), "file", source.rules)


@pytest.mark.parametrize("name", ["res4b23_branch2a_weight", "rpn_bbox_pred_weight_test", "x"])
def test_leftover_is_named(name: str, arrays: Arrays):
    with pytest.raises(InputError, match=rf"1 arrays \({name}\)"):
        _convert(arrays | {name: np.zeros(1)})


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("conv1_weight", "backbone.body.stem.conv1.weight"),
        ("bn_conv1_moving_mean", "backbone.body.stem.conv1.norm.running_mean"),
        ("res2a_branch1_weight", "backbone.body.res2.0.shortcut.weight"),
        ("bn2b_branch2a_gamma", "backbone.body.res2.1.conv1.norm.weight"),
        ("res3b3_branch2b_weight", "backbone.body.res3.3.conv2.weight"),
        ("bn4b22_branch2c_beta", "backbone.body.res4.22.conv3.norm.bias"),
        ("bn5c_branch2c_moving_var", "backbone.body.res5.2.conv3.norm.running_var"),
        ("feat_conv_3x3_bias", "backbone.feat_conv.bias"),
        ("em_conv1_weight", "embedding.0.weight"),
        ("em_conv3_weight", "embedding.4.weight"),
        ("flow_conv1_weight", "flow_net.conv1.weight"),
        ("conv5_1_bias", "flow_net.conv5_1.bias"),
        ("Convolution1_weight", "flow_net.predict_flow6.weight"),
        ("Convolution5_weight", "flow_net.predict_flow2.weight"),
        ("deconv2_weight", "flow_net.deconv2.weight"),
        ("upsample_flow4to3_weight", "flow_net.upsample_flow4to3.weight"),
        ("rpn_bbox_pred_weight", "proposal_generator.rpn_head.anchor_deltas.weight"),
    ],
)
def test_array_stays_as_it_is(name: str, target: str, arrays: Arrays):
    values = np.random.default_rng(0).standard_normal(arrays[name].shape).astype(np.float32)
    assert np.array_equal(_convert(arrays | {name: values})[target], values)


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_objectness_is_the_difference_of_the_softmax_pair(kind: str, arrays: Arrays):
    scores = _numbered_channels(arrays[f"rpn_cls_score_{kind}"]) ** 2
    logits = _convert(arrays | {f"rpn_cls_score_{kind}": scores})
    for anchor, logit in enumerate(logits[f"proposal_generator.rpn_head.objectness_logits.{kind}"]):
        assert np.all(logit == (anchor + 9) ** 2 - anchor**2)


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_background_becomes_the_last_class(kind: str, arrays: Arrays):
    scores = _numbered_channels(arrays[f"rfcn_cls_{kind}"])
    maps = _convert(arrays | {f"rfcn_cls_{kind}": scores})[f"roi_heads.score_maps.{kind}"]
    by_class = maps.reshape(31, 49, -1)[..., 0]
    expected = np.arange(31 * 49).reshape(31, 49)
    assert np.array_equal(by_class, np.concatenate([expected[1:], expected[:1]]))


@pytest.mark.parametrize("kind", ["weight", "bias"])
@pytest.mark.parametrize("suffix", ["", "_test"])
def test_box_weights_of_inference_are_divided_by_the_stds(suffix: str, kind: str, arrays: Arrays):
    """The twins win, and without them the plain ones are taken in their place."""
    deltas = _numbered_channels(arrays[f"rfcn_bbox_{kind}"])
    maps = _convert(arrays | {f"rfcn_bbox_{kind}{suffix}": deltas})[f"roi_heads.delta_maps.{kind}"]
    by_coordinate = maps.reshape(4, 49, -1)
    expected = np.arange(196, 392, dtype=np.float32).reshape(4, 49) / STDS[:, None]
    assert np.array_equal(by_coordinate, np.broadcast_to(expected[..., None], by_coordinate.shape))


def test_twins_give_back_the_weights_of_training(arrays: Arrays):
    trained = np.random.default_rng(0).standard_normal((8, 49)).astype(np.float32)
    twin = (trained * np.tile(STDS, 2)[:, None]).reshape(392)
    converted = _convert(arrays | {"rfcn_bbox_bias_test": twin})["roi_heads.delta_maps.bias"]
    np.testing.assert_allclose(converted, trained[4:].reshape(196), rtol=2e-7)


def test_box_weights_of_training_stay_as_they_are(arrays: Arrays):
    trained = _numbered_channels(arrays["rfcn_bbox_bias"])
    with_twin = arrays | {"rfcn_bbox_bias": trained, "rfcn_bbox_bias_test": trained + 7}
    converted = _convert(with_twin, box_weights="train")["roi_heads.delta_maps.bias"]
    assert np.array_equal(converted, np.arange(196, 392))


def test_head_of_another_size_is_refused(arrays: Arrays):
    with pytest.raises(InputError, match=r"rpn_cls_score_bias has shape \(17,\)"):
        _convert(arrays | {"rpn_cls_score_bias": np.zeros(17)})


def _numbered_channels(array: np.ndarray) -> np.ndarray:
    """Every value is the number of its (first-axis) channel."""
    channels = np.arange(len(array), dtype=np.float32).reshape(-1, *[1] * (array.ndim - 1))
    return np.broadcast_to(channels, array.shape)
