"""The meta-architecture FGFA: features of nearby frames, warped to the key frame and aggregated."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN
from detectron2.structures import ImageList, Instances
from detectron2.utils.events import get_event_storage
from torch import nn

from fgfa.errors import InputError
from fgfa.layers import flow_warp, similarity_weights, stay_inside

from .embedding import Embedding
from .flow_loss import mean_end_point_error
from .flow_net import build_flow_net
from .frame_window import FrameEncoding, FrameWindow
from .postprocess import postprocess
from .scaled_images import ScaledImageList
from .video_detector import VideoDetector
from .window_flow import FLOW_MODES, FlowFunctions, window_flow

TEST_PRECISIONS = ("float32", "bfloat16")

Function = TypeVar("Function", bound=Callable)


@META_ARCH_REGISTRY.register()
class FGFA(GeneralizedRCNN):
    """Flow-Guided Feature Aggregation (Zhu et al., ICCV 2017).

    Backbone, region proposals and RoI heads are those of the single-frame `GeneralizedRCNN`, under
    the same names, so its checkpoints load; between them the feature of the key frame is replaced
    by the weighted sum of the window's warped features.

    In training a key frame comes with a few neighbors. The neighbors alone are summed, and they
    are embedded after the warp; the key frame's own embedding is what they are compared with
    (`get_train_symbol` of the original). At test time features and embeddings are made once a
    frame, cached, and warped together; the key frame is warped by its flow to itself like every
    other frame of the window (`get_feat_symbol` and `get_aggregation_symbol`).

    The detections of a list of images, as one video, at radius 2:

        from fgfa import VideoPredictor, load_config

        cfg = load_config(
            "configs/imagenet_vid/fgfa_rfcn_R_101.yaml",
            ["MODEL.WEIGHTS", "fgfa.pth", "MODEL.FGFA.TEST_RADIUS", 2],
        )
        for index, instances in VideoPredictor(cfg)(map(cv2.imread, paths)):
            instances.pred_boxes.tensor  # (N, 4), x1 y1 x2 y2 in pixels of the image
            instances.scores  # (N,)
            instances.pred_classes  # (N,), from 0; the original counts them from 1

    Images that were resized by a factor before are passed with it, `(images, resized_by=scale)`.
    They are then not resized again, and boxes are in pixels of what they were; the last NMS of
    `LegacyRFCNROIHeads` counts these pixels.

    Attributes:
        PARTS_IN_TEST_PRECISION: names of the submodules that run in `MODEL.FGFA.TEST_PRECISION`.
    """

    PARTS_IN_TEST_PRECISION = ("backbone", "embedding", "flow_net")

    @configurable
    def __init__(
        self,
        *,
        flow_net: nn.Module,
        embedding: nn.Module,
        warp_padding: str,
        feature_name: str,
        test_radius: int,
        flow_loss_weight: float = 0.0,
        test_stride: int = 1,
        causal: bool = False,
        flow_mode: str = "pairwise",
        test_precision: str = "float32",
        frames_per_batch: int = 1,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            flow_net: see `FLOW_NET_REGISTRY`.
            embedding: maps a feature (N, C, H, W) to an embedding (N, E, H, W).
            warp_padding: what lies outside of a map that is warped, "zeros" or its "border".
            feature_name: the feature of the backbone that is aggregated.
            test_radius: frames on each side of the key frame at test time, K.
            flow_loss_weight: factor on the end-point error of the flow, where training data has
                the exact one.
            test_stride: distance of the frames of a window from each other at test time.
            causal: leaves out the frames behind the key frame at test time.
            flow_mode: one of `FLOW_MODES`, see `window_flow`.
            test_precision: one of `TEST_PRECISIONS`, in which backbone, embedding and flow network
                run at test time.
            frames_per_batch: frames of a video that go through the network together at test time.
            **kwargs: arguments of Detectron2's `GeneralizedRCNN`.
        """
        super().__init__(**kwargs)
        self.flow_net = flow_net
        self.embedding = embedding
        self.warp_padding = warp_padding
        self.feature_name = feature_name
        self.test_radius = test_radius
        self.flow_loss_weight = flow_loss_weight
        self.test_stride = test_stride
        self.causal = causal
        self.flow_mode = flow_mode
        self.test_precision = test_precision
        self.frames_per_batch = frames_per_batch
        self._video: VideoDetector | None = None
        self._expected: tuple[str | None, int] = (None, 0)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        _check(cfg)
        args = super().from_config(cfg)
        (feature_name,) = cfg.MODEL.RPN.IN_FEATURES
        channels = args["backbone"].output_shape()[feature_name].channels
        return args | {
            "flow_net": build_flow_net(cfg),
            "embedding": Embedding(
                channels, cfg.MODEL.FGFA.EMBEDDING_CHANNELS, cfg.MODEL.FGFA.EMBEDDING_KERNELS
            ),
            "warp_padding": cfg.MODEL.FGFA.WARP_PADDING,
            "feature_name": feature_name,
            "test_radius": cfg.MODEL.FGFA.TEST_RADIUS,
            "flow_loss_weight": cfg.MODEL.FLOW_NET.LOSS_WEIGHT,
            "test_stride": cfg.MODEL.FGFA.TEST_STRIDE,
            "causal": cfg.MODEL.FGFA.CAUSAL,
            "flow_mode": cfg.MODEL.FGFA.FLOW_MODE,
            "test_precision": cfg.MODEL.FGFA.TEST_PRECISION,
            "frames_per_batch": cfg.TEST.FRAMES_PER_BATCH,
        }

    def forward(self, batched_inputs: list[dict]) -> dict[str, torch.Tensor] | list[dict]:
        """
        Args:
            batched_inputs: in training, for each key frame `image` (3, H, W), `neighbors`, equally
                many such images for every key frame, `instances`, and where it is known
                `neighbor_flows`, the exact flow (2, h, w) to each neighbor, channel 0 = x, in cells
                of 16 pixels. At test time see `inference`.

        Returns:
            In training the losses by name, else what `inference` returns.
        """
        if not self.training:
            return self.inference(batched_inputs)
        targets = [x["instances"].to(self.device) for x in batched_inputs]
        images, feature, flow = self._aggregate_neighbors(batched_inputs)
        features = {self.feature_name: feature}
        proposals, proposal_losses = self.proposal_generator(images, features, targets)
        _, detector_losses = self.roi_heads(images, features, proposals, targets)
        if self.vis_period > 0 and get_event_storage().iter % self.vis_period == 0:
            self.visualize_training(batched_inputs, proposals)
        losses = {**proposal_losses, **detector_losses}
        if self.flow_loss_weight > 0:
            exact = [
                flow
                for x in batched_inputs
                for flow in x.get("neighbor_flows", [None] * len(x["neighbors"]))
            ]
            losses["loss_flow"] = self.flow_loss_weight * mean_end_point_error(flow, exact)
        return losses

    def _aggregate_neighbors(
        self, batched_inputs: list[dict]
    ) -> tuple[ImageList, torch.Tensor, torch.Tensor]:
        """The key frames as images, for each the sum of its neighbors' features, and the flow."""
        batch = len(batched_inputs)
        keys = [x["image"] for x in batched_inputs]
        neighbors = [image for x in batched_inputs for image in x["neighbors"]]
        images, flow_images = self._preprocess(keys + neighbors)
        features = self.backbone(images.tensor)[self.feature_name]
        per_key = len(neighbors) // batch
        shrunk = self.flow_net.shrink(flow_images)
        flow_keys = self.flow_net.as_key(shrunk[:batch]).repeat_interleave(per_key, dim=0)
        flow = self._flow(flow_keys, self.flow_net.as_neighbor(shrunk[batch:]))
        warped = flow_warp(features[batch:], flow)
        embeddings = self.embedding(torch.cat([features[:batch], warped]))
        key_embeddings, embeddings = embeddings[:batch], embeddings[batch:]
        summed = [
            (similarity_weights(embedding, key[None]) * feature).sum(dim=0)
            for embedding, key, feature in zip(
                embeddings.split(per_key), key_embeddings, warped.split(per_key), strict=True
            )
        ]
        key_images = ImageList(images.tensor[:batch], images.image_sizes[:batch])
        return key_images, torch.stack(summed), flow

    @torch.no_grad()
    def inference(
        self,
        batched_inputs: list[dict],
        detected_instances: None = None,
        do_postprocess: bool = True,
    ) -> list[dict] | list[Instances]:
        """Detects in key frames, which come in the order of their videos.

        Args:
            batched_inputs: for each key frame `frame_index`, its number in the video, and
                `new_frames`, the images (3, H, W) of the frames that its window takes in (see
                `fgfa.data.frame_choice.entering_frames`); or `image` alone for a video of one
                frame. `height` and `width` give the size of the frame in whose pixels boxes are
                wanted, and `image_scale` the factor by which it was resized, if it was so.
            detected_instances: not supported; here for the signature of `GeneralizedRCNN`.
            do_postprocess: gives boxes in pixels of the frame, and returns dicts.

        Returns:
            For each key frame a dict with `instances`, or `Instances` without postprocessing.

        Raises:
            InputError: where a key frame does not follow the one before.
        """
        assert detected_instances is None, "FGFA has no inference on given boxes"
        results: list[Instances] = []
        keys: list[int] = []
        for item in batched_inputs:
            key = item.get("frame_index", 0)
            if keys and (key == 0 or len(keys) == self.frames_per_batch):
                results += self._video.detect(keys)
                keys = []
            self._push(item)
            keys.append(key)
        results += self._video.detect(keys) if keys else []
        return postprocess(results, batched_inputs) if do_postprocess else results

    def _push(self, item: dict) -> None:
        """Takes in the frames that a key frame brings."""
        key, video = item.get("frame_index", 0), item.get("video_id")
        if key == 0:
            self._video = self.start_video(item.get("image_scale"))
        elif (video, key) != self._expected:
            raise InputError(
                f"frame {key} of video {video} does not follow the frame passed before it; pass "
                "the frames of each video in order, from frame 0, each of them once"
            )
        self._expected = (video, key + 1)
        for image in item["new_frames"] if "new_frames" in item else [item["image"]]:
            self._video.add(image)

    def start_video(self, image_scale: float | None = None) -> VideoDetector:
        """The way of a new video through the model.

        Args:
            image_scale: factor by which its frames were resized, for RoI heads that ask for it;
                None where they were resized to a size.
        """
        return VideoDetector(
            FrameWindow(self.test_radius, self.causal, self.test_stride),
            window_flow(self.flow_mode),
            self.frames_per_batch,
            encode=self._in_test_precision(self.encode),
            flow_net=FlowFunctions(
                self._in_test_precision(self._as_key), self._in_test_precision(self._flow)
            ),
            find_objects=partial(self._find_objects, image_scale=image_scale),
        )

    def _in_test_precision(self, function: Function) -> Function:
        if self.test_precision == "float32":
            return function  # which leaves an autocast around the model as it is
        return torch.autocast(self.device.type, getattr(torch, self.test_precision))(function)

    @torch.no_grad()
    def encode(self, images: Sequence[torch.Tensor]) -> list[FrameEncoding]:
        """The one pass of frames through backbone and embedding.

        Args:
            images: frames of one video, each (3, H, W), 0 to 255, in the channel order of
                `INPUT.FORMAT`.
        """
        if not images:
            return []
        batch, flow_images = self._preprocess(images)
        features = self.backbone(batch.tensor)[self.feature_name]
        shrunk = self.flow_net.shrink(flow_images)
        maps = (features, self.embedding(features), shrunk, self.flow_net.as_neighbor(shrunk))
        size = batch.image_sizes[0]
        return [FrameEncoding(*tensors, image_size=size) for tensors in zip(*maps, strict=True)]

    def _find_objects(
        self, feature: torch.Tensor, image_size: tuple[int, int], image_scale: float | None
    ) -> list[Instances]:
        """Detects in feature maps (B, C, H, W) of frames, in pixels of the resized frames."""
        images = ScaledImageList(
            feature.new_empty(len(feature), 3, 0, 0),  # the pixels are not kept
            [image_size] * len(feature),
            [1.0 if image_scale is None else image_scale] * len(feature),
        )
        features = {self.feature_name: _full_precision(feature)}
        proposals, _ = self.proposal_generator(images, features, None)
        instances, _ = self.roi_heads(images, features, proposals, None)
        return instances

    def _as_key(self, shrunk: torch.Tensor) -> torch.Tensor:
        # Looked up at each call, so that a meter in its place is seen.
        return self.flow_net.as_key(shrunk)

    def _flow(self, keys: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
        """Flow (N, 2, H, W) to warp along, see `FlowNet.forward`."""
        # Positions in the map need more digits than autocast gives.
        flow = _full_precision(self.flow_net(keys, neighbors))
        return stay_inside(flow) if self.warp_padding == "border" else flow

    def _preprocess(self, images: Sequence[torch.Tensor]) -> tuple[ImageList, torch.Tensor]:
        """Normalizes and pads images for the backbone, and for the flow network."""
        batch = self.preprocess_image([{"image": image} for image in images])
        rgb = [x.flip(0) if self.input_format == "BGR" else x for x in images]
        flow_images = ImageList.from_tensors(
            [self.flow_net.normalize(x.to(self.device)) for x in rgb],
            self.backbone.size_divisibility,
            padding_constraints=self.backbone.padding_constraints,
        )
        return batch, flow_images.tensor


def _full_precision(maps: torch.Tensor) -> torch.Tensor:
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _check(cfg: CfgNode) -> None:
    """Raises an `InputError` where a value makes no sense."""
    fgfa = cfg.MODEL.FGFA
    if fgfa.TRAIN_NEIGHBORS < 1:
        raise InputError("MODEL.FGFA.TRAIN_NEIGHBORS is below 1; FGFA sums at least one neighbor")
    for key, choices in (
        ("WARP_PADDING", ("zeros", "border")),
        ("FLOW_MODE", FLOW_MODES),
        ("TEST_PRECISION", TEST_PRECISIONS),
    ):
        if fgfa[key] not in choices:
            raise InputError(f"MODEL.FGFA.{key} is {fgfa[key]!r}; use one of {', '.join(choices)}")
    for key, value, least in (
        ("MODEL.FGFA.TEST_RADIUS", fgfa.TEST_RADIUS, 0),
        ("MODEL.FGFA.TEST_STRIDE", fgfa.TEST_STRIDE, 1),
        ("TEST.FRAMES_PER_BATCH", cfg.TEST.FRAMES_PER_BATCH, 1),
    ):
        if value < least:
            raise InputError(f"{key} is {value}; set it to {least} or more")
