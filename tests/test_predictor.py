"""Detection in streams of frames, with a small random model."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetCatalog
from detectron2.layers import Conv2d
from detectron2.structures import Instances
from torch import nn

from fgfa.config import add_fgfa_config
from fgfa.data import build_test_loader
from fgfa.errors import InputError
from fgfa.layers import flow_warp
from fgfa.modeling.packed_convolution import unpack_convolutions
from fgfa.predictor import VideoPredictor

CONFIG = Path(__file__).parents[1] / "configs" / "Base-RFCN.yaml"
RADIUS = 2
SMALL = [
    *("MODEL.DEVICE", "cpu", "MODEL.RESNETS.DEPTH", 50, "MODEL.RESNETS.WIDTH_PER_GROUP", 4),
    *("MODEL.RESNETS.STEM_OUT_CHANNELS", 8, "MODEL.RESNETS.RES2_OUT_CHANNELS", 16),
    *("MODEL.FEATURE_CONV.OUT_CHANNELS", 32, "MODEL.FGFA.EMBEDDING_CHANNELS", [8, 8, 16]),
    *("MODEL.FLOW_NET.WIDTH", 0.1, "MODEL.FGFA.TEST_RADIUS", RADIUS),
    *("INPUT.MIN_SIZE_TEST", 64, "INPUT.MAX_SIZE_TEST", 128, "MODEL.ROI_HEADS.NUM_CLASSES", 3),
]


def make_predictor(
    architecture: str = "FGFA",
    causal: bool = False,
    by_factor: bool = False,
    options: Sequence[object] = (),
) -> VideoPredictor:
    torch.manual_seed(0)
    return VideoPredictor(make_cfg(architecture, by_factor, options), causal)


def make_cfg(architecture: str, by_factor: bool = False, options: Sequence[object] = ()) -> CfgNode:
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.merge_from_file(str(CONFIG))
    cfg.merge_from_list([*SMALL, "MODEL.META_ARCHITECTURE", architecture, *options])
    cfg.INPUT.RESIZE_BY_FACTOR = by_factor
    return cfg


def make_frames(count: int, height: int = 48, width: int = 56, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return [cv2.resize(frame, (width, height)) for frame in coarse]


def assert_same(result: Instances, expected: Instances, pixels: float = 0.0) -> None:
    """Compares all detections; boxes may differ by a number of pixels."""
    assert len(result) > 0
    assert result.image_size == expected.image_size
    boxes, expected_boxes = result.pred_boxes.tensor, expected.pred_boxes.tensor
    torch.testing.assert_close(boxes, expected_boxes, atol=pixels, rtol=1.3e-6)
    torch.testing.assert_close(result.scores, expected.scores)
    assert result.pred_classes.tolist() == expected.pred_classes.tolist()


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize(
    ("architecture", "by_factor", "options"),
    [
        ("FGFA", False, []),
        ("FGFA", True, []),
        ("FGFA", False, ["MODEL.FGFA.FLOW_MODE", "composed"]),
        ("FGFA", False, ["MODEL.FGFA.FLOW_MODE", "zero_key"]),
        ("FGFA", False, ["MODEL.FGFA.CAUSAL", True, "MODEL.FGFA.TEST_STRIDE", 2]),
        ("GeneralizedRCNN", False, []),
        ("LegacyRCNN", True, []),
    ],
)
def test_results_are_those_of_evaluation_to_the_last_bit(
    architecture: str,
    by_factor: bool,
    options: list,
    batch: int,
    tmp_path: Path,
    dataset_name: str,
):
    options = [*options, "TEST.FRAMES_PER_BATCH", batch, "DATALOADER.NUM_WORKERS", 0]
    predictor = make_predictor(architecture, by_factor=by_factor, options=options)
    frames = make_frames(7)
    register_frames(dataset_name, tmp_path, frames)
    loader = build_test_loader(make_cfg(architecture, by_factor, options), dataset_name)
    expected = [output["instances"] for items in loader for output in predictor.model(items)]
    results = list(predictor(frames))
    assert [index for index, _ in results] == list(range(7))
    for (_, instances), evaluated in zip(results, expected, strict=True):
        assert len(instances) > 0
        assert torch.equal(instances.pred_boxes.tensor, evaluated.pred_boxes.tensor)
        assert torch.equal(instances.scores, evaluated.scores)
        assert torch.equal(instances.pred_classes, evaluated.pred_classes)


def register_frames(name: str, folder: Path, frames: list[np.ndarray]) -> None:
    """Registers frames as a data set of one video."""
    height, width = frames[0].shape[:2]
    paths = [str(folder / f"{i}.png") for i in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        cv2.imwrite(path, frame)
    video = {"video_id": "a", "video_length": len(frames), "video_frames": paths}
    size = {"height": height, "width": width, "annotations": []}
    dicts = [{**video, **size, "frame_index": i} for i in range(len(frames))]
    DatasetCatalog.register(name, lambda: dicts)


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("FGFA", []),
        ("FGFA", ["MODEL.FGFA.FLOW_MODE", "composed"]),
        ("FGFA", ["MODEL.FGFA.CAUSAL", True]),
        ("GeneralizedRCNN", []),
    ],
)
def test_frames_that_go_through_the_network_together_change_nothing(
    architecture: str, options: list
):
    frames = [*make_frames(7), *make_frames(4, height=56)]
    expected = list(make_predictor(architecture, options=options)(frames))
    for batch in (2, 3, 20):
        batched = make_predictor(architecture, options=[*options, "TEST.FRAMES_PER_BATCH", batch])
        results = list(batched(frames))
        assert [index for index, _ in results] == list(range(11))
        for (_, instances), (_, alone) in zip(results, expected, strict=True):
            # The convolutions of other batch sizes may round otherwise.
            assert_same(instances, alone, pixels=1e-3)


@pytest.mark.parametrize("batch", [1, 3])
def test_explanation_is_what_went_into_the_detections(batch: int):
    options = ["TEST.FRAMES_PER_BATCH", batch]
    predictor = make_predictor(options=options)
    frames = [*make_frames(4), *make_frames(2, height=56)]
    expected = list(predictor(frames))
    single = make_predictor("GeneralizedRCNN")
    single.model.load_state_dict(predictor.model.state_dict(), strict=False)
    alone = [instances for _, instances in single(frames)]
    explained = list(predictor.explain(frames))
    assert [explanation.frames for _, _, explanation in explained] == [
        *([0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3]),
        *([4, 4, 4, 5, 5], [4, 4, 5, 5, 5]),
    ]
    for (index, instances, explanation), (_, detections) in zip(explained, expected, strict=True):
        assert_same(instances, detections)
        assert explanation.frames[explanation.key] == index
        assert explanation.flow.shape[:2] == (5, 2)
        assert explanation.weights.shape == (5, *explanation.flow.shape[2:])
        torch.testing.assert_close(
            explanation.weights.sum(dim=0), torch.ones(explanation.weights.shape[1:])
        )
        assert_same(explanation.single_frame, alone[index], pixels=1e-3)


def test_weights_and_flow_of_an_explanation_make_the_aggregated_feature():
    predictor = make_predictor()
    head = predictor.model.flow_net.predict_flow2
    unpack_convolutions(head)
    nn.init.normal_(head.weight, std=0.3)
    images = [torch.from_numpy(frame).permute(2, 0, 1) for frame in make_frames(5)]
    video = predictor.model.start_video()
    for image in images:
        video.add(image)
    seen = []
    predictor.model.proposal_generator.register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[1]["feat"])
    )
    ((_, explanation),) = video.explain([2])
    features = torch.stack([predictor.model.encode([image])[0].feature for image in images])
    warped = flow_warp(features, explanation.flow)
    expected = (warped * explanation.weights[:, None]).sum(dim=0)
    assert explanation.flow.abs().max() > 0.1
    torch.testing.assert_close(seen[-1][0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["FGFA", "GeneralizedRCNN"])
def test_norms_are_folded(architecture: str):
    layers = [x for x in make_predictor(architecture).model.modules() if isinstance(x, Conv2d)]
    assert len(layers) > 50
    assert all(layer.norm is None for layer in layers)


def test_a_single_frame_model_has_nothing_to_explain():
    with pytest.raises(InputError, match="aggregates nothing"):
        list(make_predictor("GeneralizedRCNN").explain(make_frames(1)))


def test_compiled_parts_give_the_same():
    frames = make_frames(4)
    expected = list(make_predictor()(frames))
    predictor = make_predictor()
    for part in (predictor.model.backbone, predictor.model.embedding, predictor.model.flow_net):
        part.compile(backend="aot_eager")
    for (_, instances), (_, plain) in zip(predictor(frames), expected, strict=True):
        assert_same(instances, plain, pixels=1e-3)


@pytest.mark.parametrize("mode", ["pairwise", "composed"])
def test_autocast_gives_about_the_same(mode: str):
    predictor = make_predictor(options=["MODEL.FGFA.FLOW_MODE", mode])
    frames = make_frames(4)
    expected = list(predictor(frames))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = list(predictor(frames))
    for (_, instances), (_, precise) in zip(results, expected, strict=True):
        assert len(instances) > 0
        assert instances.scores[0] != precise.scores[0]
        torch.testing.assert_close(instances.scores[0], precise.scores[0], atol=0.05, rtol=0)


def test_bfloat16_keeps_maps_in_it_and_gives_about_the_same():
    frames = make_frames(4)
    expected = list(make_predictor()(frames))
    predictor = make_predictor(options=["MODEL.FGFA.TEST_PRECISION", "bfloat16"])
    maps = []
    predictor.model.backbone.register_forward_hook(
        lambda module, inputs, output: maps.extend(output.values())
    )
    results = list(predictor(frames))
    assert {feature.dtype for feature in maps} == {torch.bfloat16}
    for (_, instances), (_, precise) in zip(results, expected, strict=True):
        assert instances.scores.dtype == torch.float32
        assert instances.scores[0] != precise.scores[0]
        torch.testing.assert_close(instances.scores[0], precise.scores[0], atol=0.05, rtol=0)


@pytest.mark.parametrize("architecture", ["FGFA", "LegacyRCNN"])
def test_boxes_are_divided_by_the_factor_of_the_resize(architecture: str):
    predictor = make_predictor(architecture, by_factor=True)
    seen = []
    predictor.model.roi_heads.register_forward_hook(
        lambda _module, inputs, outputs: seen.append((inputs[0], outputs[0][0]))
    )
    frames = [*make_frames(2), *make_frames(1, height=96, width=140)]
    results = [instances for _, instances in predictor(frames)]
    assert [r.image_size for r in results] == [(48, 56), (48, 56), (96, 140)]
    factors = [64 / 48, 64 / 48, 64 / 96]
    assert [images.image_scales for images, _ in seen] == [[factor] for factor in factors]
    for result, (_, raw), factor in zip(results, seen, factors, strict=True):
        assert len(result) == len(raw) > 0
        assert torch.equal(result.pred_boxes.tensor, raw.pred_boxes.tensor / factor)


@pytest.mark.parametrize("architecture", ["FGFA", "LegacyRCNN"])
def test_frames_that_were_resized_before_give_the_same(architecture: str):
    predictor = make_predictor(architecture, by_factor=True)
    frames = make_frames(4, height=96, width=120)
    factor = 64 / 96
    resized = [cv2.resize(frame, None, fx=factor, fy=factor) for frame in frames]
    expected = [instances for _, instances in predictor(frames)]
    results = [instances for _, instances in predictor(resized, resized_by=factor)]
    for result, instances in zip(results, expected, strict=True):
        assert_same(result, instances)


def test_a_factor_that_is_no_size_is_refused():
    with pytest.raises(InputError, match="resized_by is 0"):
        list(make_predictor()(make_frames(1), resized_by=0))


@pytest.mark.parametrize(
    ("causal", "batch", "expected"),
    [
        (False, 1, [2, 3, 4, 4, 4]),
        (True, 1, [0, 1, 2, 3, 4]),
        (False, 2, [3, 3, 4, 4, 4]),
        (True, 2, [1, 1, 3, 3, 4]),
    ],
)
def test_frames_read_until_a_result_comes(causal: bool, batch: int, expected: list[int]):
    reads = []

    def read() -> Iterator[np.ndarray]:
        for index, frame in enumerate(make_frames(5)):
            reads.append(index)
            yield frame

    predictor = make_predictor(causal=causal, options=["TEST.FRAMES_PER_BATCH", batch])
    assert [reads[-1] for _ in predictor(read())] == expected


@pytest.mark.parametrize("batch", [1, 3])
def test_every_frame_goes_through_the_backbone_once_and_is_forgotten(batch: int):
    predictor = make_predictor(options=["TEST.FRAMES_PER_BATCH", batch])
    start_video, videos, batches, held = predictor.model.start_video, [], [], []
    predictor.model.start_video = lambda *args: videos.append(start_video(*args)) or videos[-1]
    predictor.model.backbone.register_forward_hook(
        lambda _module, inputs, _output: batches.append(len(inputs[0]))
    )
    for _ in predictor(iter(make_frames(20))):
        held.append(len(videos[0].window))
    assert sum(batches) == 20
    assert 0 < max(held) <= 2 * RADIUS + batch


def test_causal_results_do_not_depend_on_later_frames():
    frames, others = make_frames(4), make_frames(4, seed=1)
    causal = make_predictor(causal=True)
    results, changed = (dict(causal([*frames[:2], *later])) for later in (frames[2:], others[2:]))
    for index in (0, 1):
        assert_same(changed[index], results[index])
    ahead = make_predictor()
    results, changed = (dict(ahead([*frames[:2], *later])) for later in (frames[2:], others[2:]))
    assert changed[1].scores.tolist() != results[1].scores.tolist()


@pytest.mark.parametrize("causal", [False, True])
def test_change_of_size_starts_a_new_video(causal: bool):
    predictor = make_predictor(causal=causal)
    first, second = make_frames(3), make_frames(2, height=56, width=48)
    results = list(predictor(first + second))
    apart = list(predictor(first)) + list(predictor(second))
    assert [index for index, _ in results] == [0, 1, 2, 3, 4]
    for (_, instances), (_, expected) in zip(results, apart, strict=True):
        assert_same(instances, expected)


def test_reset_starts_a_new_video():
    predictor = make_predictor()

    def read() -> Iterator[np.ndarray]:
        yield from make_frames(3)
        predictor.reset()
        yield from make_frames(2, seed=1)

    results = list(predictor(read()))
    apart = list(predictor(make_frames(3))) + list(predictor(make_frames(2, seed=1)))
    assert [index for index, _ in results] == [0, 1, 2, 3, 4]
    for (_, instances), (_, expected) in zip(results, apart, strict=True):
        assert_same(instances, expected)


@pytest.mark.parametrize("architecture", ["FGFA", "GeneralizedRCNN"])
def test_a_batch_of_no_frames_is_refused(architecture: str):
    with pytest.raises(InputError, match=r"TEST\.FRAMES_PER_BATCH is 0; set it to 1 or more"):
        make_predictor(architecture, options=["TEST.FRAMES_PER_BATCH", 0])


def test_no_frames_give_no_results():
    assert list(make_predictor()([])) == []


@pytest.mark.parametrize(
    "frame", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3))]
)
def test_frame_of_another_kind_is_one_sentence(frame: np.ndarray):
    with pytest.raises(InputError, match="frame 1 is"):
        list(make_predictor("GeneralizedRCNN")([*make_frames(1), frame]))
