import copy

import pytest
import torch
from detectron2.config import get_cfg
from hypothesis import given, settings
from hypothesis import strategies as st

from fgfa.config import add_fgfa_config
from fgfa.errors import InputError
from fgfa.modeling.flow_net import FLOW_NET_REGISTRY, FlowNetS, build_flow_net
from fgfa.modeling.flow_net.flownet_s import _double, _merge

SMALL = 1 / 16


@pytest.fixture(scope="module")
def small_net():
    torch.manual_seed(0)
    return FlowNetS(width=SMALL).eval()


def original_name(parameter):
    layer, kind = parameter.split(".")
    if layer == "conv1":
        layer = "flow_conv1"
    elif layer.startswith("predict_flow"):
        layer = f"Convolution{7 - int(layer[-1])}"
    return f"{layer}_{kind}"


def test_original_flow(original_weights, golden):
    net = FlowNetS().eval()
    weights = {name: original_weights[original_name(name)] for name in net.state_dict()}
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    arrays = golden("net_k2_120x213")
    frames = torch.from_numpy(arrays["frames_bgr_u8"][..., ::-1].copy()).permute(0, 3, 1, 2)
    window = net.normalize(frames[1:6].float())
    with torch.no_grad():
        shrunk = net.shrink(window)
        neighbors = net.as_neighbor(shrunk)
        flow = net(net.as_key(shrunk[2:3]).expand_as(neighbors), neighbors)
    expected = torch.from_numpy(arrays["frame3_flow"])
    assert (flow - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("case", ["odd", "even", "mix"])
def test_images_are_halved_as_in_the_original(case, small_net, golden):
    images, halved, gradient = (
        torch.from_numpy(golden("ops")[f"avgfull_{case}_{name}"])
        for name in ("in", "out", "gradones")
    )
    seen = []
    hook = small_net.conv1.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    images.requires_grad_()
    small_net.predictions(images, torch.zeros_like(images))
    hook.remove()
    ours = seen[0][:, :3]
    torch.testing.assert_close(ours, halved, rtol=0, atol=1e-5)
    (ours_gradient,) = torch.autograd.grad(ours.sum(), images)
    torch.testing.assert_close(ours_gradient, gradient, rtol=0, atol=1e-5)


def test_maps_are_doubled_and_cropped_as_in_the_original(golden):
    ops = golden("ops")
    x, weight, bias, doubled, cropped = (
        torch.from_numpy(ops[f"deconvcrop_{name}"]) for name in ("x", "w", "b", "deconv", "crop")
    )
    layer = _double(4, 3)
    layer.load_state_dict({"weight": weight, "bias": bias})
    with torch.no_grad():
        ours = layer(x)
    torch.testing.assert_close(ours, doubled, rtol=0, atol=1e-5)
    skip, activated = torch.zeros_like(cropped), torch.zeros_like(ours)
    torch.testing.assert_close(_merge(skip, activated, ours)[:, -3:], cropped, rtol=0, atol=1e-5)


@given(height=st.integers(1, 150), width=st.integers(1, 150))
@settings(max_examples=15, deadline=None)
def test_flow_covers_each_cell(small_net, height, width):
    key, neighbor = torch.randn(2, 1, 3, height, width)
    with torch.no_grad():
        flow = small_net.predictions(key, neighbor)[0]
    assert flow.shape == (1, 2, -(-height // 16), -(-width // 16))


def test_predictions_go_from_fine_to_coarse(small_net):
    key, neighbor = torch.randn(2, 1, 3, 128, 256)
    with torch.no_grad():
        predictions = small_net.predictions(key, neighbor)
    widths = [prediction.shape[-1] for prediction in predictions]
    assert widths == [16, 16, 8, 4, 2]


@given(height=st.integers(1, 70), width=st.integers(1, 70))
@settings(max_examples=15, deadline=None)
def test_what_is_made_once_a_frame_gives_the_flow_of_pairs(small_net, height, width):
    net = copy.deepcopy(small_net)
    torch.nn.init.normal_(net.predict_flow2.weight, std=0.1)
    torch.nn.init.normal_(net.conv1.bias)
    frames = torch.randn(3, 3, height, width)
    with torch.no_grad():
        shrunk = net.shrink(frames)
        keys, neighbors = net.as_key(shrunk), net.as_neighbor(shrunk)
        for key in range(3):
            flow = net(keys[key].expand_as(neighbors), neighbors)
            expected = net.predictions(frames[key].expand_as(frames), frames)[0]
            assert expected.any()
            torch.testing.assert_close(flow, expected, atol=1e-5, rtol=1e-4)


def test_new_network_sees_no_motion(small_net):
    key, neighbor = torch.randn(2, 1, 3, 64, 64)
    assert small_net.predictions(key, neighbor)[0].abs().max() == 0


def test_new_network_doubles_flow_bilinearly(small_net):
    ramp = torch.arange(6.0).expand(1, 2, 6, 6)
    doubled = small_net.upsample_flow6to5(ramp)[..., 3:-3, 3:-3]  # without the border
    expected = torch.arange(0.75, 4.5, 0.5).expand_as(doubled)
    torch.testing.assert_close(doubled, expected)


def test_hidden_layers_keep_the_size_of_signals():
    torch.manual_seed(0)
    net = FlowNetS(width=0.5)
    signal = torch.randn(1, 6, 192, 192)
    for layer in (net.conv1, net.conv2, net.conv3, net.conv3_1):
        signal = layer(signal)
    assert 0.7 < signal[..., 4:-4, 4:-4].square().mean() < 1.4
    doubled = net.deconv5(torch.randn(1, net.deconv5.in_channels, 8, 8))[..., 2:-2, 2:-2]
    assert 1.6 < doubled.square().mean() < 2.4


def test_training_reaches_every_parameter():
    torch.manual_seed(0)
    net = FlowNetS(width=SMALL)
    key, neighbor = torch.randn(2, 1, 3, 128, 128)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):  # the first two move flow, and then its upsampled copies, off zero
        optimizer.zero_grad()
        sum((flow - 1).square().sum() for flow in net.predictions(key, neighbor)).backward()
        optimizer.step()
    assert not [name for name, p in net.named_parameters() if p.grad.abs().max() == 0]


def test_normalize_subtracts_the_mean(small_net):
    image = torch.tensor([123.15, 115.90, 103.06]).view(3, 1, 1) + torch.tensor([255.0, 0, -51.0])
    expected = torch.tensor([1.0, 0, -0.2]).expand(3, 1, 3)
    torch.testing.assert_close(small_net.normalize(image), expected, atol=1e-6, rtol=0)


def test_mean_is_not_in_checkpoints(small_net):
    assert not [name for name in small_net.state_dict() if "mean" in name]


def test_last_prediction_at_stride_8_is_averaged():
    torch.manual_seed(0)
    net = FlowNetS(width=SMALL, finest_stride=8)
    torch.nn.init.normal_(net.predict_flow2.weight)
    seen = []
    net.predict_flow2.register_forward_hook(lambda module, inputs, output: seen.append(output))
    key, neighbor = torch.randn(2, 1, 3, 96, 160)
    flow = net.predictions(key, neighbor)[0]
    assert seen[0].shape == (1, 2, 12, 20)
    expected = 2.5 * seen[0].unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
    torch.testing.assert_close(flow, expected)


def test_other_strides_are_refused():
    with pytest.raises(InputError, match="FINEST_STRIDE is 4"):
        FlowNetS(width=SMALL, finest_stride=4)


def test_config_gives_name_width_mean_and_stride():
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.MODEL.FLOW_NET.WIDTH = 0.25
    assert build_flow_net(cfg).pixel_mean.flatten().tolist() == pytest.approx(
        [123.15, 115.90, 103.06]
    )
    cfg.MODEL.FLOW_NET.PIXEL_MEAN = [1.0, 2.0, 3.0]
    cfg.MODEL.FLOW_NET.FINEST_STRIDE = 8
    net = build_flow_net(cfg)
    assert isinstance(net, FlowNetS)
    assert net.conv6.out_channels == 256
    assert net.pixel_mean.flatten().tolist() == [1.0, 2.0, 3.0]
    assert net.finest_stride == 8


def test_registry_names():
    assert {"FlowNetS", "RAFT"} <= {name for name, _ in FLOW_NET_REGISTRY}
