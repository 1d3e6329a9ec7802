"""From the original's weights and frames, as files, to its detections."""

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from detectron2.structures import Instances

from fgfa import VideoPredictor, load_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "imagenet_vid" / "fgfa_rfcn_R_101.yaml"
convert = runpy.run_path(str(ROOT / "scripts" / "convert_weights.py"))["main"]


@pytest.fixture(scope="module")
def predictor(
    original_params_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> VideoPredictor:
    """Of converted weights, at radius 2; frames of 1280 x 720 are resized to 213 x 120."""
    checkpoint = tmp_path_factory.mktemp("converted") / "fgfa.pth"
    convert([str(original_params_file), str(checkpoint)])
    options = ["MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", str(checkpoint)]
    options += ["MODEL.FGFA.TEST_RADIUS", 2]
    options += ["INPUT.MIN_SIZE_TEST", 128, "INPUT.MAX_SIZE_TEST", 213]
    predictor = VideoPredictor(load_config(str(CONFIG), options))
    checkpoint.unlink()
    return predictor


def test_detections_in_resized_frames(
    predictor: VideoPredictor,
    video_arrays: Mapping[str, np.ndarray],
    assert_original_detections: Callable[[int, Instances], None],
):
    frames, scale = video_arrays["frames_bgr_u8"], video_arrays["scale"].item()
    results = list(predictor(frames, resized_by=scale))
    assert [index for index, _ in results] == list(range(len(frames)))
    for index, instances in results:
        assert_original_detections(index, instances)


def test_detections_in_frames_from_disk(
    predictor: VideoPredictor,
    shared_dir: Path,
    video_arrays: Mapping[str, np.ndarray],
    assert_original_detections: Callable[[int, Instances], None],
):
    folder = shared_dir / "frames" / "ILSVRC2015_val_00007010"
    frames = [cv2.imread(str(folder / f"{i:06d}.JPEG")) for i in video_arrays["source_frames"]]
    scale = 213 / 1280
    resized = [cv2.resize(frame, None, fx=scale, fy=scale) for frame in frames]
    if not np.array_equal(resized, video_arrays["frames_bgr_u8"]):
        pytest.skip("this OpenCV decodes or resizes otherwise than that of the goldens")
    for index, instances in predictor(frames):
        assert instances.image_size == (720, 1280)
        assert_original_detections(index, instances)
