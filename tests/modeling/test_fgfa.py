"""The meta-architecture: training, and inference against a slow twin that keeps nothing."""

from collections.abc import Sequence

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.utils.events import EventStorage
from torch import nn

from fgfa.errors import InputError
from fgfa.layers import aggregate_reference, flow_warp_reference
from fgfa.modeling import FGFA

HEIGHT, WIDTH = 64, 96
RADIUS = 2


@pytest.fixture
def model(tiny_cfg: CfgNode) -> FGFA:
    return make_model(tiny_cfg)


def make_model(cfg: CfgNode) -> nn.Module:
    torch.manual_seed(0)
    model = build_model(cfg)
    if cfg.MODEL.META_ARCHITECTURE == "FGFA" and cfg.MODEL.FLOW_NET.NAME == "FlowNetS":
        # A new FlowNetS predicts no motion; this one predicts about a cell.
        nn.init.normal_(model.flow_net.predict_flow2.weight, std=0.5)
        nn.init.constant_(model.flow_net.predict_flow2.bias, 0.2)
    return model


def make_frames(count: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 12, generator=generator) * 255
    return list(nn.functional.interpolate(coarse, (HEIGHT, WIDTH)).byte())


def make_item(seed: int, boxes: int = 1) -> dict:
    """A key frame with two neighbors and the first of two boxes."""
    image, *neighbors = make_frames(3, seed)
    instances = Instances((HEIGHT, WIDTH))
    corners = torch.tensor([[10.0, 8.0, 50.0, 40.0], [40.0, 20.0, 90.0, 60.0]])
    instances.gt_boxes = Boxes(corners[:boxes])
    instances.gt_classes = torch.tensor([1, 3])[:boxes]
    return {"image": image, "neighbors": neighbors, "instances": instances}


def make_inputs(frames: Sequence[torch.Tensor], radius: int = RADIUS) -> list[dict]:
    """What the mapper gives for the key frames of a video that reach `radius` frames ahead."""
    return [
        {
            "video_id": "video",
            "frame_index": key,
            "new_frames": frames[: radius + 1] if key == 0 else frames[key + radius :][:1],
            "height": HEIGHT,
            "width": WIDTH,
        }
        for key in range(len(frames))
    ]


def losses_of(model: nn.Module, items: list[dict]) -> dict[str, torch.Tensor]:
    with EventStorage():
        return model.train()(items)


def flow_of(model: FGFA, keys: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
    """Flow between images, without the shortcuts of inference."""
    return model.flow_net.predictions(keys, neighbors)[0]


def assert_same(result: Instances, expected: Instances) -> None:
    assert len(result) > 0
    torch.testing.assert_close(
        result.pred_boxes.tensor, expected.pred_boxes.tensor, atol=1e-3, rtol=0
    )
    torch.testing.assert_close(result.scores, expected.scores, atol=1e-5, rtol=1e-4)
    assert result.pred_classes.tolist() == expected.pred_classes.tolist()


def test_training_reaches_every_part(model: FGFA):
    losses = losses_of(model, [make_item(0), make_item(1, boxes=2)])
    assert set(losses) == {"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"}
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    for name in ("flow_net.conv1", "flow_net.predict_flow2", "embedding.0", "embedding.4"):
        assert model.get_submodule(name).weight.grad.abs().sum() > 0, name
    for name in ("backbone.feat_conv", "proposal_generator.rpn_head.anchor_deltas"):
        assert model.get_submodule(name).weight.grad.abs().sum() > 0, name
    assert model.roi_heads.score_maps.weight.grad.abs().sum() > 0
    assert any(p.grad.abs().sum() > 0 for p in model.backbone.body.parameters() if p.requires_grad)


def test_training_sums_the_neighbors_and_compares_them_after_the_warp(model: FGFA):
    items = [make_item(0), make_item(1)]
    _, feature, _ = model._aggregate_neighbors(items)
    for item, result in zip(items, feature, strict=True):
        images, flow_images = model._preprocess([item["image"], *item["neighbors"]])
        key, *neighbors = model.backbone(images.tensor)["feat"].split(1)
        warped = [
            flow_warp_reference(neighbor, flow_of(model, flow_images[:1], flow_images[i, None]))
            for i, neighbor in enumerate(neighbors, start=1)
        ]
        cosines = [
            torch.cosine_similarity(model.embedding(x), model.embedding(key))[:, None]
            for x in warped
        ]
        weights = torch.stack(cosines).softmax(dim=0)
        expected = sum(w * x for w, x in zip(weights, warped, strict=True))[0]
        torch.testing.assert_close(result, expected, atol=1e-4, rtol=1e-4)


def test_exact_flow_teaches_the_flow_network(tiny_cfg: CfgNode):
    tiny_cfg.MODEL.FLOW_NET.LOSS_WEIGHT = 0.5
    model = make_model(tiny_cfg)
    known, unknown = make_item(0), make_item(1)
    known["neighbor_flows"] = [torch.full((2, 4, 6), 3.0), torch.full((2, 4, 6), -1.0)]
    losses = losses_of(model, [known, unknown])
    _, flow_images = model._preprocess([known["image"], *known["neighbors"]])
    flow = flow_of(model, flow_images[:1].repeat(2, 1, 1, 1), flow_images[1:])
    error = (flow - torch.stack(known["neighbor_flows"])).norm(dim=1).mean()
    torch.testing.assert_close(losses["loss_flow"], 0.5 * error)
    losses["loss_flow"].backward()
    assert model.flow_net.predict_flow2.weight.grad.abs().sum() > 0
    assert losses_of(model, [unknown])["loss_flow"].item() == 0


def test_without_flow_and_embedding_the_features_are_averaged(tiny_cfg: CfgNode):
    tiny_cfg.MODEL.FLOW_NET.NAME = "ZeroFlow"
    tiny_cfg.MODEL.FGFA.EMBEDDING_CHANNELS = []
    tiny_cfg.MODEL.FGFA.EMBEDDING_KERNELS = []
    model = make_model(tiny_cfg)
    item = make_item(0)
    images, feature, flow = model._aggregate_neighbors([item])
    features = model.backbone(model._preprocess(item["neighbors"])[0].tensor)["feat"]
    torch.testing.assert_close(feature[0], features.mean(dim=0))
    assert not flow.any()
    frames = make_frames(5)
    results = model.eval()(make_inputs(frames))
    expected = model._find_objects(
        model.backbone(model._preprocess(frames)[0].tensor)["feat"].mean(dim=0, keepdim=True),
        images.image_sizes[0],
        None,
    )
    assert_same(results[2]["instances"], expected[0])


def detect_from_scratch(
    model: FGFA,
    frames: Sequence[torch.Tensor],
    key: int,
    offsets: Sequence[int] = range(-RADIUS, RADIUS + 1),
) -> Instances:
    """Encodes the whole window of one key frame, one frame and one pair at a time."""

    def encode(index: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, flow_image = model._preprocess([frames[min(max(index, 0), len(frames) - 1)]])
        return model.backbone(images.tensor)["feat"], flow_image

    window = [encode(key + offset) for offset in offsets]
    _, key_image = window[RADIUS]
    flow = torch.cat([flow_of(model, key_image, image) for _, image in window])
    features = torch.cat([feature for feature, _ in window])
    embeddings = torch.cat([model.embedding(feature) for feature, _ in window])
    key_embedding = flow_warp_reference(embeddings[RADIUS, None], flow[RADIUS, None])
    feature = {"feat": aggregate_reference(features, embeddings, flow, key_embedding)}
    images = ImageList(key_image, [(HEIGHT, WIDTH)])
    proposals, _ = model.proposal_generator(images, feature, None)
    return model.roi_heads(images, feature, proposals, None)[0][0]


@pytest.mark.parametrize("length", [1, 2, 4, 7])
@torch.no_grad()
def test_inference_is_that_of_whole_windows(model: FGFA, length: int):
    model.eval()
    frames = make_frames(length)
    for item in make_inputs(frames):
        (result,) = model([item])
        assert_same(result["instances"], detect_from_scratch(model, frames, item["frame_index"]))


@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        (["MODEL.FGFA.CAUSAL", True], [-2, -1, 0]),
        (["MODEL.FGFA.TEST_STRIDE", 2], [-4, -2, 0, 2, 4]),
        (["MODEL.FGFA.TEST_STRIDE", 3, "MODEL.FGFA.CAUSAL", True], [-6, -3, 0]),
    ],
)
@torch.no_grad()
def test_windows_are_those_of_the_config(tiny_cfg: CfgNode, options: list, offsets: list[int]):
    tiny_cfg.merge_from_list(options)
    model = make_model(tiny_cfg).eval()
    frames = make_frames(7)
    for item in make_inputs(frames, radius=offsets[-1]):
        (result,) = model([item])
        expected = detect_from_scratch(model, frames, item["frame_index"], offsets)
        assert_same(result["instances"], expected)


@pytest.mark.parametrize("name", ["DIS", "ZeroFlow"])
def test_flow_without_weights_is_that_of_whole_windows(tiny_cfg: CfgNode, name: str):
    tiny_cfg.MODEL.FLOW_NET.NAME = name
    model = make_model(tiny_cfg).eval()
    frames = make_frames(5)
    for key, item in enumerate(make_inputs(frames)):
        (result,) = model([item])
        assert_same(result["instances"], detect_from_scratch(model, frames, key))
    losses = losses_of(model, [make_item(0), make_item(1)])
    assert all(loss.isfinite() for loss in losses.values())


def test_composed_flow_sees_two_pairs_a_frame(tiny_cfg: CfgNode):
    tiny_cfg.MODEL.FGFA.FLOW_MODE = "composed"
    model = make_model(tiny_cfg).eval()
    pairs = []
    model.flow_net.register_forward_hook(lambda _m, inputs, _out: pairs.append(len(inputs[0])))
    for item in make_inputs(make_frames(7)):
        model([item])
    assert pairs == [4, 2, 2, 2, 2]


@pytest.mark.parametrize("frames_per_batch", [1, 2, 4])
@pytest.mark.parametrize("items_at_once", [2, 3, 10])
def test_key_frames_of_several_videos_may_come_together(
    tiny_cfg: CfgNode, items_at_once: int, frames_per_batch: int
):
    model = make_model(tiny_cfg).eval()
    items = make_inputs(make_frames(5)) + make_inputs(make_frames(4, seed=1))
    expected = [output for item in items for output in model([item])]
    tiny_cfg.TEST.FRAMES_PER_BATCH = frames_per_batch
    model = make_model(tiny_cfg).eval()
    key_frames = []
    model.roi_heads.register_forward_hook(
        lambda _m, inputs, _out: key_frames.append(len(inputs[2]))
    )
    starts = range(0, len(items), items_at_once)
    results = [x for start in starts for x in model(items[start : start + items_at_once])]
    assert max(key_frames) == min(frames_per_batch, items_at_once, 5)
    for result, alone in zip(results, expected, strict=True):
        assert_same(result["instances"], alone["instances"])


def test_every_frame_goes_through_the_backbone_once(model: FGFA):
    encoded = []
    model.backbone.register_forward_hook(lambda _m, inputs, _out: encoded.append(len(inputs[0])))
    for item in make_inputs(make_frames(8)):
        model.eval()([item])
    assert sum(encoded) == 8
    assert len(model._video.window) <= 2 * RADIUS + 1


def test_still_video_without_motion_is_the_single_frame_model(tiny_cfg: CfgNode):
    model = make_model(tiny_cfg).eval()
    nn.init.zeros_(model.flow_net.predict_flow2.weight)
    nn.init.zeros_(model.flow_net.predict_flow2.bias)
    tiny_cfg.MODEL.META_ARCHITECTURE = "GeneralizedRCNN"
    single = make_model(tiny_cfg).eval()
    assert not single.load_state_dict(model.state_dict(), strict=False).missing_keys
    frames = make_frames(1) * 5
    with torch.no_grad():
        (expected,) = single([{"image": frames[0], "height": HEIGHT, "width": WIDTH}])
    for item in make_inputs(frames):
        (result,) = model([item])
        assert_same(result["instances"], expected["instances"])


def test_image_alone_is_a_video_of_one_frame(model: FGFA):
    model.eval()
    frames = make_frames(1)
    size = {"height": HEIGHT, "width": WIDTH}
    (result,) = model([{"image": frames[0], **size}])
    (expected,) = model(make_inputs(frames))
    assert_same(result["instances"], expected["instances"])


def test_a_new_video_forgets_the_former(model: FGFA):
    model.eval()
    second = make_inputs(make_frames(3, seed=1))
    expected = [model([item])[0]["instances"] for item in second]
    for item in make_inputs(make_frames(4)):
        model([item])
    for item, instances in zip(second, expected, strict=True):
        assert_same(model([item])[0]["instances"], instances)


def test_boxes_are_given_in_the_size_that_is_wanted(model: FGFA):
    model.eval()
    (item,) = make_inputs(make_frames(1))
    (result,) = model([item])
    (doubled,) = model([item | {"height": 2 * HEIGHT, "width": 2 * WIDTH}])
    boxes, doubled = (r["instances"].pred_boxes.tensor for r in (result, doubled))
    torch.testing.assert_close(doubled, 2 * boxes)
    (raw,) = model.inference([item], do_postprocess=False)
    torch.testing.assert_close(raw.pred_boxes.tensor, boxes)


def test_boxes_are_divided_by_the_factor_of_the_frame(model: FGFA):
    model.eval()
    scales = []
    model.roi_heads.register_forward_pre_hook(
        lambda _module, inputs: scales.append(inputs[0].image_scales)
    )
    (item,) = make_inputs(make_frames(1))
    (raw,) = model.inference([item], do_postprocess=False)
    sizes = {"height": 129, "width": 193, "image_scale": 0.5}
    for inputs in (item | sizes, {"image": item["new_frames"][0], **sizes}):
        (result,) = model([inputs])
        assert torch.equal(result["instances"].pred_boxes.tensor, raw.pred_boxes.tensor / 0.5)
        assert result["instances"].image_size == (129, 193)
    assert scales == [[1.0], [0.5], [0.5]]


@pytest.mark.parametrize("order", [[1], [0, 2], [0, 1, 1], [0, 1, 2, 1]])
def test_key_frame_out_of_order_is_one_sentence(model: FGFA, order: list[int]):
    model.eval()
    *before, last = (make_inputs(make_frames(6))[key] for key in order)
    for item in before:
        model([item])
    with pytest.raises(InputError, match=rf"frame {order[-1]} of video video .* in order"):
        model([last])


def test_going_on_in_another_video_is_one_sentence(model: FGFA):
    model.eval()
    first, second, *_ = make_inputs(make_frames(6))
    model([first])
    with pytest.raises(InputError, match="frame 1 of video other"):
        model([second | {"video_id": "other"}])


def test_flow_network_sees_rgb(tiny_cfg: CfgNode):
    (frame,) = make_frames(1)
    images = []
    for image_format, image in (("RGB", frame), ("BGR", frame.flip(0))):
        tiny_cfg.INPUT.FORMAT = image_format
        model = make_model(tiny_cfg).eval()
        images.append(model.encode([image])[0].flow_image)
    assert torch.equal(*images)
    expected = model.flow_net.shrink(model.flow_net.normalize(frame)[None])[0]
    torch.testing.assert_close(images[0], expected)


def test_standard_roi_heads_take_the_place_of_rfcn(tiny_cfg: CfgNode):
    options = [
        *("MODEL.ROI_HEADS.NAME", "StandardROIHeads", "MODEL.RPN.HEAD_NAME", "StandardRPNHead"),
        *("MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead", "MODEL.ROI_BOX_HEAD.NUM_FC", 1),
        *("MODEL.ROI_BOX_HEAD.FC_DIM", 16, "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 3),
    ]
    tiny_cfg.merge_from_list(options)
    model = make_model(tiny_cfg)
    losses = losses_of(model, [make_item(0)])
    sum(losses.values()).backward()
    assert model.flow_net.conv1.weight.grad.abs().sum() > 0
    model.eval()
    for item in make_inputs(make_frames(3)):
        (result,) = model([item])
        assert len(result["instances"]) > 0


def test_no_neighbor_is_one_sentence(tiny_cfg: CfgNode):
    tiny_cfg.MODEL.FGFA.TRAIN_NEIGHBORS = 0
    with pytest.raises(InputError, match="TRAIN_NEIGHBORS"):
        make_model(tiny_cfg)


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_flow_beyond_the_map_reads_its_padding(tiny_cfg: CfgNode, padding: str):
    tiny_cfg.MODEL.FGFA.WARP_PADDING = padding
    model = make_model(tiny_cfg).eval()
    nn.init.constant_(model.flow_net.predict_flow2.bias, 1000)
    seen = []
    model.proposal_generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    (frame,) = make_frames(1)
    model([{"image": frame, "height": HEIGHT, "width": WIDTH}])
    corner = model.encode([frame])[0].feature[:, -1:, -1:]
    expected = corner if padding == "border" else torch.zeros_like(corner)
    torch.testing.assert_close(seen[0]["feat"][0], expected.expand(-1, 4, 6))
    assert corner.any()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.FGFA.WARP_PADDING", "reflection"),
        ("MODEL.FGFA.FLOW_MODE", "guessed"),
        ("MODEL.FGFA.TEST_RADIUS", -1),
        ("MODEL.FGFA.TEST_STRIDE", 0),
        ("TEST.FRAMES_PER_BATCH", 0),
    ],
)
def test_values_that_make_no_sense_are_refused(tiny_cfg: CfgNode, key: str, value: object):
    tiny_cfg.merge_from_list([key, value])
    with pytest.raises(InputError, match=f"{key} is {value!r}"):
        build_model(tiny_cfg)
