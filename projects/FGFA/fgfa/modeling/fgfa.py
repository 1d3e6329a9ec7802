"""The meta-architecture FGFA: features of nearby frames, warped to the key frame and aggregated."""

from collections.abc import Sequence

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN
from detectron2.structures import ImageList, Instances
from detectron2.utils.events import get_event_storage
from torch import nn

from fgfa.errors import InputError
from fgfa.layers import aggregate, flow_warp, similarity_weights, stay_inside

from .embedding import Embedding
from .flow_net import build_flow_net
from .frame_window import FrameEncoding, FrameWindow
from .postprocess import postprocess
from .scaled_images import ScaledImageList


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
    """

    @configurable
    def __init__(
        self,
        *,
        flow_net: nn.Module,
        freeze_flow_net: bool,
        embedding: nn.Module,
        warp_padding: str,
        feature_name: str,
        test_radius: int,
        **kwargs,
    ) -> None:
        """
        Args:
            flow_net: see `FLOW_NET_REGISTRY`.
            freeze_flow_net: leaves the flow network as it is in training.
            embedding: maps a feature (N, C, H, W) to an embedding (N, E, H, W).
            warp_padding: what lies outside of a map that is warped, "zeros" or its "border".
            feature_name: the feature of the backbone that is aggregated.
            test_radius: frames on each side of the key frame at test time, K.
            **kwargs: arguments of Detectron2's `GeneralizedRCNN`.
        """
        super().__init__(**kwargs)
        self.flow_net = flow_net.requires_grad_(not freeze_flow_net)
        self.embedding = embedding
        self.warp_padding = warp_padding
        self.feature_name = feature_name
        self.test_radius = test_radius
        self._window = FrameWindow(test_radius)
        self._expected: tuple[str | None, int] = (None, 0)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        if cfg.MODEL.FGFA.TRAIN_NEIGHBORS < 1:
            raise InputError(
                "MODEL.FGFA.TRAIN_NEIGHBORS is below 1; FGFA sums at least one neighbor"
            )
        padding = cfg.MODEL.FGFA.WARP_PADDING
        if padding not in ("zeros", "border"):
            raise InputError(f"MODEL.FGFA.WARP_PADDING is {padding!r}; set it to zeros or border")
        args = super().from_config(cfg)
        (feature_name,) = cfg.MODEL.RPN.IN_FEATURES
        channels = args["backbone"].output_shape()[feature_name].channels
        return args | {
            "flow_net": build_flow_net(cfg),
            "freeze_flow_net": cfg.MODEL.FLOW_NET.FREEZE,
            "embedding": Embedding(
                channels, cfg.MODEL.FGFA.EMBEDDING_CHANNELS, cfg.MODEL.FGFA.EMBEDDING_KERNELS
            ),
            "warp_padding": padding,
            "feature_name": feature_name,
            "test_radius": cfg.MODEL.FGFA.TEST_RADIUS,
        }

    def forward(self, batched_inputs: list[dict]) -> dict[str, torch.Tensor] | list[dict]:
        """
        Args:
            batched_inputs: in training, for each key frame `image` (3, H, W), `neighbors`, equally
                many such images for every key frame, and `instances`. At test time see `inference`.

        Returns:
            In training the losses by name, else what `inference` returns.
        """
        if not self.training:
            return self.inference(batched_inputs)
        targets = [x["instances"].to(self.device) for x in batched_inputs]
        images, feature = self._aggregate_neighbors(batched_inputs)
        features = {self.feature_name: feature}
        proposals, proposal_losses = self.proposal_generator(images, features, targets)
        _, detector_losses = self.roi_heads(images, features, proposals, targets)
        if self.vis_period > 0 and get_event_storage().iter % self.vis_period == 0:
            self.visualize_training(batched_inputs, proposals)
        return {**proposal_losses, **detector_losses}

    def _aggregate_neighbors(self, batched_inputs: list[dict]) -> tuple[ImageList, torch.Tensor]:
        """The key frames as images, and for each the weighted sum of its neighbors' features."""
        batch = len(batched_inputs)
        keys = [x["image"] for x in batched_inputs]
        neighbors = [image for x in batched_inputs for image in x["neighbors"]]
        images, flow_images = self._preprocess(keys + neighbors)
        features = self.backbone(images.tensor)[self.feature_name]
        per_key = len(neighbors) // batch
        flow_keys = flow_images[:batch].repeat_interleave(per_key, dim=0)
        flow = self._flow(flow_keys, flow_images[batch:])
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
        return key_images, torch.stack(summed)

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
        results = [self._detect_next(x) for x in batched_inputs]
        return postprocess(results, batched_inputs) if do_postprocess else results

    def _detect_next(self, item: dict) -> Instances:
        if "new_frames" not in item:
            item = {**item, "frame_index": 0, "new_frames": [item["image"]]}
        key, video = item["frame_index"], item.get("video_id")
        if key == 0:
            self._window = FrameWindow(self.test_radius)
        elif (video, key) != self._expected:
            raise InputError(
                f"frame {key} of video {video} does not follow the frame passed before it; pass "
                "the frames of each video in order, from frame 0, each of them once"
            )
        self._expected = (video, key + 1)
        for frame in self.encode(item["new_frames"]):
            self._window.add(frame)
        return self.detect(self._window, key, item.get("image_scale"))

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
        embeddings = self.embedding(features)
        size = batch.image_sizes[0]
        return [
            FrameEncoding(*tensors, image_size=size)
            for tensors in zip(features, embeddings, flow_images, strict=True)
        ]

    @torch.no_grad()
    def detect(self, window: FrameWindow, key: int, image_scale: float | None = None) -> Instances:
        """Detections of a key frame, in pixels of the resized frame (see `to_frame_pixels`).

        Args:
            window: holds the key frame and those around it.
            key: number of the key frame in its video.
            image_scale: factor by which the frames were resized, for RoI heads that ask for it;
                None where they were resized to a size.
        """
        frames, key_index, positions = window.around(key)
        feature = self._aggregate_window(frames, key_index, positions)
        key_frame = frames[key_index]
        scale = 1.0 if image_scale is None else image_scale
        images = ScaledImageList(key_frame.flow_image[None], [key_frame.image_size], [scale])
        features = {self.feature_name: feature}
        proposals, _ = self.proposal_generator(images, features, None)
        (instances,), _ = self.roi_heads(images, features, proposals, None)
        return instances

    def _aggregate_window(
        self, frames: list[FrameEncoding], key: int, positions: list[int]
    ) -> torch.Tensor:
        """Warps, weighs and sums frames; `positions` repeats those beyond the video's ends."""
        flow_images = torch.stack([frame.flow_image for frame in frames])
        flow = self._flow(flow_images[key].expand_as(flow_images), flow_images)
        features = torch.stack([frames[i].feature for i in positions])
        embeddings = torch.stack([frames[i].embedding for i in positions])
        key_embedding = flow_warp(frames[key].embedding[None], flow[key][None])
        return aggregate(features, embeddings, flow[positions], key_embedding)

    def _flow(self, keys: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
        """Flow (N, 2, H, W) to warp along, from key frames to neighbors of the flow network."""
        flow = self.flow_net(keys, neighbors)
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
