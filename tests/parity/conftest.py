"""The network of the goldens, and their video."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.structures import Instances
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from fgfa import add_fgfa_config
from fgfa.convert.mxnet import BoxWeights, sources
from fgfa.convert.name_table import choose_source, rename
from fgfa.modeling import FGFA, FrameEncoding

CONFIG = Path(__file__).parents[2] / "configs" / "imagenet_vid" / "fgfa_rfcn_R_101.yaml"
RADIUS = 2


@pytest.fixture(scope="session")
def make_original_model(
    original_weights: dict[str, np.ndarray],
) -> Callable[[BoxWeights], FGFA]:
    """A function that builds FGFA R-101 with the goldens' weights, on the CPU.

    The goldens of inference and of training take the same box weights, once for deltas as they are
    ("test") and once for deltas divided by their standard deviations ("train").
    """
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.merge_from_file(str(CONFIG))
    cfg.merge_from_list(["MODEL.DEVICE", "cpu", "MODEL.FGFA.TEST_RADIUS", RADIUS])

    def make(box_weights: BoxWeights) -> FGFA:
        source = choose_source(original_weights, sources(box_weights), "the goldens")
        weights = rename(original_weights, source.rules, "the goldens")
        model = build_model(cfg)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        return model

    return make


@pytest.fixture(scope="session")
def original_model(make_original_model: Callable[[BoxWeights], FGFA]) -> FGFA:
    """The goldens' network for inference."""
    return make_original_model("test").eval()


@pytest.fixture(scope="session")
def video_arrays(
    golden: Callable[[str], Mapping[str, np.ndarray]],
) -> Mapping[str, np.ndarray]:
    """What the original makes of a video of 8 frames."""
    return golden("net_k2_120x213")


@pytest.fixture(scope="session")
def frames(video_arrays: Mapping[str, np.ndarray]) -> list[torch.Tensor]:
    """The frames of the video, resized, RGB, (3, 120, 213)."""
    rgb = np.ascontiguousarray(video_arrays["frames_bgr_u8"][..., ::-1])
    return list(torch.from_numpy(rgb).permute(0, 3, 1, 2))


@pytest.fixture(scope="session")
def encodings(original_model: FGFA, frames: list[torch.Tensor]) -> list[FrameEncoding]:
    """Each frame after its pass through backbone and embedding."""
    return [encoding for frame in frames for encoding in original_model.encode([frame])]


@pytest.fixture(scope="session")
def assert_original_detections(
    video_arrays: Mapping[str, np.ndarray],
) -> Callable[[int, Instances], None]:
    """A function that compares detections in a frame, in its pixels, with the original's.

    They are the same where each has a partner of its own, and none is left over.
    """
    detections = video_arrays["detections"]

    def check(frame: int, ours: Instances) -> None:
        label, boxes, scores = np.split(detections[detections[:, 0] == frame, 1:], [1, 5], axis=1)
        assert len(ours) == len(label)
        same = (
            (ours.pred_classes.numpy() + 1 == label)
            & (np.abs(ours.scores.numpy() - scores) < 1e-4)
            & (np.abs(ours.pred_boxes.tensor.numpy() - boxes[:, None]).max(axis=2) < 0.05)
        )
        assert (maximum_bipartite_matching(csr_matrix(same), perm_type="column") >= 0).all()

    return check
