"""Detection in streams of frames, with a small random model."""

import gc
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.structures import Instances

from fgfa.config import add_fgfa_config
from fgfa.data import VideoDatasetMapper
from fgfa.errors import InputError
from fgfa.modeling import FrameEncoding
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
    architecture: str = "FGFA", causal: bool = False, by_factor: bool = False
) -> VideoPredictor:
    torch.manual_seed(0)
    return VideoPredictor(make_cfg(architecture, by_factor), causal)


def make_cfg(architecture: str, by_factor: bool = False) -> CfgNode:
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.merge_from_file(str(CONFIG))
    cfg.merge_from_list([*SMALL, "MODEL.META_ARCHITECTURE", architecture])
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


@pytest.mark.parametrize(
    ("architecture", "by_factor"),
    [("FGFA", False), ("FGFA", True), ("GeneralizedRCNN", False), ("LegacyRCNN", True)],
)
def test_results_are_those_of_evaluation(architecture: str, by_factor: bool, tmp_path: Path):
    predictor = make_predictor(architecture, by_factor=by_factor)
    frames = make_frames(5)
    paths = [str(tmp_path / f"{i}.png") for i in range(5)]
    for path, frame in zip(paths, frames, strict=True):
        cv2.imwrite(path, frame)
    mapper = VideoDatasetMapper(make_cfg(architecture, by_factor), is_train=False)
    results = list(predictor(frames))
    assert [index for index, _ in results] == list(range(5))
    for index, instances in results:
        item = {"frame_index": index, "video_length": 5, "video_frames": paths}
        (expected,) = predictor.model([mapper({**item, "height": 48, "width": 56})])
        # Evaluation encodes the first frames in one batch, which rounds otherwise.
        assert_same(instances, expected["instances"], pixels=1e-3)


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


@pytest.mark.parametrize(("causal", "delay"), [(False, RADIUS), (True, 0)])
def test_result_comes_a_radius_later_or_at_once(causal: bool, delay: int):
    reads = []

    def read() -> Iterator[np.ndarray]:
        for index, frame in enumerate(make_frames(5)):
            reads.append(index)
            yield frame

    read_at_result = [reads[-1] for _ in make_predictor(causal=causal)(read())]
    assert read_at_result == [min(index + delay, 4) for index in range(5)]


def count_encodings() -> int:
    return sum(isinstance(x, FrameEncoding) for x in gc.get_objects())


def test_every_frame_goes_through_the_backbone_once_and_is_forgotten():
    predictor = make_predictor()
    batches, alive, before = [], [], count_encodings()
    predictor.model.backbone.register_forward_hook(
        lambda _module, inputs, _output: batches.append(len(inputs[0]))
    )
    for _ in predictor(iter(make_frames(9))):
        alive.append(count_encodings() - before)
    assert sum(batches) == 9
    assert 0 < max(alive) <= 2 * RADIUS + 1


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


def test_no_frames_give_no_results():
    assert list(make_predictor()([])) == []


@pytest.mark.parametrize(
    "frame", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3))]
)
def test_frame_of_another_kind_is_one_sentence(frame: np.ndarray):
    with pytest.raises(InputError, match="frame 1 is"):
        list(make_predictor("GeneralizedRCNN")([*make_frames(1), frame]))
