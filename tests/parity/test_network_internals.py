"""Every tensor of the original's test network on its way to the detections in frame 3.

Tensors have the original's names, and agree within 1e-4 of the largest value of the tensor.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fgfa.layers import flow_warp, similarity_weights
from fgfa.modeling import FGFA, FrameEncoding

# What a module took and gave, by the module's name.
Calls = dict[str, tuple[Tensor, Tensor]]

FRAME = 3
WINDOW = slice(1, 6)
CENTER = 2
TOLERANCE = 1e-4

# Our modules by the original's name of what they give.
OUTPUTS = {
    "bn_conv1_output": "backbone.body.stem.conv1.norm",
    "pool1_output": "backbone.body.stem",
    "res2a_relu_output": "backbone.body.res2.0",
    "res2c_relu_output": "backbone.body.res2.2",
    "res3a_relu_output": "backbone.body.res3.0",
    "res3b3_relu_output": "backbone.body.res3.3",
    "res4a_relu_output": "backbone.body.res4.0",
    "res4b22_relu_output": "backbone.body.res4.22",
    "res5a_relu_output": "backbone.body.res5.0",
    "res5c_relu_output": "backbone.body.res5.2",
    "feat_conv_3x3_relu_output": "backbone.feat_conv",
    "em_conv1_output": "embedding.0",
    "em_conv2_output": "embedding.2",
    "em_conv3_output": "embedding.4",
    "ReLU2_output": "flow_net.conv2",
    "ReLU4_output": "flow_net.conv3_1",
    "ReLU6_output": "flow_net.conv4_1",
    "ReLU8_output": "flow_net.conv5_1",
    "ReLU10_output": "flow_net.conv6_1",
    "Convolution1_output": "flow_net.predict_flow6",
    "upsample_flow6to5_output": "flow_net.upsample_flow6to5",
    "Convolution2_output": "flow_net.predict_flow5",
    "Convolution3_output": "flow_net.predict_flow4",
    "Convolution4_output": "flow_net.predict_flow3",
    "Convolution5_output": "flow_net.predict_flow2",
    "flow": "flow_net",
    "rpn_bbox_pred_output": "proposal_generator.rpn_head.anchor_deltas",
}
# ... and of what they take.
INPUTS = {
    "conv1_output": "backbone.body.stem.conv1.norm",
    "resize_data_output": "flow_net.conv1",
    "flow_conv1_output": "flow_net.conv1.activation",
    "resize_concat5_output": "flow_net.predict_flow2",
}
# Modules whose calls are looked at in parts.
OTHER_MODULES = [
    *("flow_net.deconv5", "flow_net.deconv4", "flow_net.deconv3", "flow_net.deconv2"),
    "proposal_generator.rpn_head.objectness_logits",
    *("roi_heads.score_maps", "roi_heads.delta_maps"),
]
# Tensors that no module of ours takes or gives as they are, see `internals`.
DERIVED = [
    *("feat_conv_3x3_output", "conv_feat", "embed", "conv_embed_output"),
    *("ReLU11_output", "ReLU12_output", "ReLU13_output", "ReLU14_output"),
    *("crop_upsampled_flow6_to_5_output", "flow_grid_output", "cos", "weights"),
    *("warping_feat_output", "warped_neighbour0", "warped_centre", "aggregated_feat"),
    *("rpn_bbox_pred_denorm", "rpn_cls_prob_reshape_output"),
    *("rfcn_cls", "rfcn_cls_output", "cls_score_reshape_output"),
]
# The original has channels in these that we do without.
REDUCED = {"rpn_cls_score_output", "rfcn_bbox", "rfcn_bbox_output"}
# Compared in test_detections.py, for all frames.
DETECTIONS = {"rois_output", "cls_prob_output"}


@pytest.fixture(scope="module")
def arrays(video_arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[str, Tensor]]:
    """Arrays of frame 3 and their keys, by the tensor's name."""
    pattern = re.compile(r"frame3_(?:every16ch_|flownet_pair0_)?(\w+?)(?:_every\dch)?")
    names = {key: pattern.fullmatch(key) for key in video_arrays}
    return {
        name[1]: (key, torch.from_numpy(video_arrays[key])) for key, name in names.items() if name
    }


@pytest.fixture(scope="module")
def statistics(shared_dir: Path) -> dict[str, list]:
    """Shape, mean, standard deviation, least and largest value, by the tensor's name."""
    stats = json.loads((shared_dir / "golden" / "net_k2_stats.json").read_text())
    return stats["A_feat_frame3"] | stats["A_aggr_frame3"]


@pytest.fixture(scope="module")
def calls(original_model: FGFA, frames: list[Tensor], encodings: list[FrameEncoding]) -> Calls:
    """The calls of all modules of interest in the detection of frame 3."""
    video = original_model.start_video()
    for encoding in encodings[WINDOW]:  # as a video of their own, they are seen in order of time
        video.window.add(encoding)
    with recorded(original_model) as calls:
        original_model.encode([frames[FRAME]])
        # Inference takes the first convolution of the flow network apart.
        images = original_model.flow_net.normalize(torch.stack(frames[WINDOW]).float())
        original_model.flow_net.predictions(images[CENTER, None].expand_as(images), images)
        video.detect([CENTER])
    return calls


@contextmanager
def recorded(model: nn.Module) -> Iterator[Calls]:
    """Copies of the first tensor that each module takes and of the tensor that it gives."""
    calls, taken = {}, {}

    # Activations work in place, so only copies keep.
    def keep_input(name: str, _module: nn.Module, inputs: tuple) -> None:
        taken[name] = inputs[0].clone()

    def keep_call(name: str, _module: nn.Module, _inputs: tuple, output: Tensor) -> None:
        calls[name] = taken[name], output.clone()

    hooks = []
    for name in {*OUTPUTS.values(), *INPUTS.values(), *OTHER_MODULES}:
        module = model.get_submodule(name)
        hooks.append(module.register_forward_pre_hook(partial(keep_input, name)))
        hooks.append(module.register_forward_hook(partial(keep_call, name)))
    yield calls
    for hook in hooks:
        hook.remove()


@pytest.fixture(scope="module")
def internals(
    original_model: FGFA,
    calls: Calls,
    encodings: list[FrameEncoding],
    video_arrays: Mapping[str, np.ndarray],
) -> dict[str, Tensor]:
    """Our tensors by the original's names, whole."""
    given = {name: calls[module][1] for name, module in OUTPUTS.items()}
    taken = {name: calls[module][0] for name, module in INPUTS.items()}
    rois = torch.from_numpy(video_arrays["rois"][FRAME, :, 1:])
    with torch.no_grad():
        return {
            **given,
            **taken,
            **encoder_tensors(original_model, calls),
            **flow_tensors(calls),
            **aggregation_tensors(encodings[WINDOW], given["flow"]),
            **head_tensors(original_model, calls, rois),
        }


def encoder_tensors(model: FGFA, calls: Calls) -> dict[str, Tensor]:
    layer = model.backbone.feat_conv
    feature, embedding = calls["backbone.feat_conv"][1], calls["embedding.4"][1]
    return {
        "feat_conv_3x3_output": F.conv2d(
            calls["backbone.feat_conv"][0],
            layer.weight,
            layer.bias,
            padding=layer.padding,
            dilation=layer.dilation,
        ),
        "conv_feat": feature,
        "embed": embedding,
        "conv_embed_output": torch.cat([feature, embedding], dim=1),
    }


def flow_tensors(calls: Calls) -> dict[str, Tensor]:
    """Parts of what goes into a prediction: skip connection, doubled features, doubled flow."""
    tensors = {}
    for name, level in (("ReLU11", 5), ("ReLU12", 4), ("ReLU13", 3)):
        concatenated = calls[f"flow_net.predict_flow{level}"][0]
        channels = calls[f"flow_net.deconv{level}"][1].shape[1]
        tensors[f"{name}_output"] = concatenated[:, -channels - 2 : -2]
    tensors["crop_upsampled_flow6_to_5_output"] = calls["flow_net.predict_flow5"][0][:, -2:]
    height, width = calls["flow_net.conv2"][1].shape[-2:]
    cropped = calls["flow_net.deconv2"][1][..., 1 : height + 1, 1 : width + 1]
    tensors["ReLU14_output"] = F.leaky_relu(cropped, 0.1)
    return tensors


def aggregation_tensors(window: list[FrameEncoding], flow: Tensor) -> dict[str, Tensor]:
    maps = torch.stack([torch.cat([frame.feature, frame.embedding]) for frame in window])
    warped = flow_warp(maps, flow)
    embeddings = warped[:, len(window[0].feature) :]
    key_embedding = embeddings[CENTER : CENTER + 1]
    # MXNet's grid goes from -1 to 1 over the map.
    height, width = flow.shape[-2:]
    x, y = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")
    sides = torch.tensor([width - 1, height - 1]).view(2, 1, 1)
    return {
        "flow_grid_output": 2 * (torch.stack([x, y]) + flow) / sides - 1,
        "warping_feat_output": warped,
        "warped_neighbour0": warped[:1],
        "warped_centre": warped[CENTER : CENTER + 1],
        "cos": F.cosine_similarity(embeddings, key_embedding)[:, None],
        "weights": similarity_weights(embeddings, key_embedding),
    }


def head_tensors(model: FGFA, calls: Calls, rois: Tensor) -> dict[str, Tensor]:
    """Tensors of RPN and R-FCN, which read one half of the aggregated feature each."""
    rpn_half, logits = calls["proposal_generator.rpn_head.objectness_logits"]
    rfcn_half, score_maps = calls["roi_heads.score_maps"]
    aggregated = torch.cat([rpn_half, rfcn_half], dim=1)
    deltas = calls["proposal_generator.rpn_head.anchor_deltas"][1]
    stds = 1 / torch.tensor(model.proposal_generator.box2box_transform.weights)
    class_logits, _ = model.roi_heads.predict(aggregated, [rois])
    # The original's background is the first class, ours the last.
    background_first = score_maps.roll(49, dims=1)
    return {
        "aggregated_feat": aggregated,
        "rpn_bbox_pred_denorm": deltas * stds.repeat(9).view(-1, 1, 1),
        "rpn_cls_prob_reshape_output": torch.cat([-logits, logits], dim=1).sigmoid(),
        "rfcn_cls": background_first,
        "rfcn_cls_output": background_first,
        "cls_score_reshape_output": class_logits.roll(1, dims=1),
    }


def stored_part(key: str, tensor: Tensor) -> Tensor:
    """What the golden of that key holds of a tensor: the first pair, or some of the channels."""
    if "flownet_pair0" in key:
        return tensor[:1, :: 16 if tensor.shape[1] > 6 else 1]
    step = re.search(r"every(\d+)ch", key)
    return tensor[:, :: int(step[1]) if step else 1]


def assert_close(ours: Tensor, expected: Tensor) -> None:
    tolerance = TOLERANCE * expected.abs().max().item()
    torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", [*OUTPUTS, *INPUTS, *DERIVED])
def test_tensor_is_that_of_the_original(
    name: str,
    internals: dict[str, Tensor],
    arrays: dict[str, tuple[str, Tensor]],
    statistics: dict[str, list],
) -> None:
    tensor = internals[name]
    assert name in arrays or name in statistics
    if name in arrays:
        key, expected = arrays[name]
        assert_close(stored_part(key, tensor), expected)
    if name in statistics:
        shape, *expected = statistics[name]
        std, mean = torch.std_mean(tensor, correction=0)
        assert list(tensor.shape) == shape
        assert_close(torch.stack([mean, std, *tensor.aminmax()]), torch.tensor(expected))


def test_objectness_is_the_difference_of_foreground_and_background(
    calls: Calls, arrays: dict[str, tuple[str, Tensor]]
) -> None:
    background, foreground = arrays["rpn_cls_score_output"][1].split(9, dim=1)
    logits = calls["proposal_generator.rpn_head.objectness_logits"][1]
    assert_close(logits, foreground - background)


def test_box_maps_are_those_of_the_foreground(
    original_model: FGFA, calls: Calls, arrays: dict[str, tuple[str, Tensor]]
) -> None:
    # Ours hold deltas in units of their standard deviations; channels are four by 7 x 7 cells.
    stds = 1 / torch.tensor(original_model.roi_heads.box2box_transform.weights)
    deltas = calls["roi_heads.delta_maps"][1] * stds.repeat_interleave(49).view(-1, 1, 1)
    key, expected = arrays["rfcn_bbox"]
    assert_close(stored_part(key, deltas), expected[:, expected.shape[1] // 2 :])


def test_no_tensor_of_the_original_is_left_out(
    arrays: dict[str, tuple[str, Tensor]], statistics: dict[str, list]
) -> None:
    compared = {*OUTPUTS, *INPUTS, *DERIVED} | REDUCED | DETECTIONS
    assert arrays.keys() | statistics.keys() == compared
