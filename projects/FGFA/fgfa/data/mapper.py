"""Turns the dict of a frame into what the model takes: images, and instances in training."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from detectron2.structures import Boxes, Instances

from fgfa.data.color_jitter import color_jitter
from fgfa.data.frame_choice import entering_frames, training_neighbors
from fgfa.data.frame_reading import read_frame
from fgfa.data.pseudo_clips import MARGIN, PseudoClips
from fgfa.data.resizing import build_augmentation, image_scale
from fgfa.errors import InputError


class VideoDatasetMapper:
    """Reads a key frame and the frames that go with it, and gives all of them one augmentation.

    In training the result has `image` (uint8 tensor (3, H, W)), `neighbors` (list of
    `train_neighbors` such tensors; absent for 0) and `instances`. At test time it has `image`, or
    with a `test_lookahead` only `new_frames`: those frames of the window that no earlier key frame
    needed, so that each frame of a video that is read in order is read once; and `image_scale`
    where frames are resized by a factor.

    With `pseudo_clips` a still in training becomes a clip that is made of it, and the result has
    `neighbor_flows`, the exact flow from the key frame to each neighbor (2, h, w), in cells.
    """

    @configurable
    def __init__(
        self,
        is_train: bool,
        *,
        augmentations: list[T.Augmentation | T.Transform],
        image_format: str,
        train_neighbors: int = 0,
        train_radius: int = 0,
        train_offset_weights: Sequence[float] = (),
        test_lookahead: int | None = None,
        corners_are_pixels: bool = False,
        pseudo_clips: PseudoClips | None = None,
    ) -> None:
        """
        Args:
            is_train: training, or test.
            augmentations: applied in this order. At test time they must not be random.
            image_format: order of the channels, "RGB" or "BGR".
            train_neighbors: neighbors to read with a key frame in training.
            train_radius: their largest distance from the key frame, frames.
            train_offset_weights: see `training_neighbors`.
            test_lookahead: frames behind the key frame that its window reaches to at test time;
                None for a single-frame model.
            corners_are_pixels: both corners of a box lie in it, as in the original: in training a
                box ends at the last pixel of its frame, and stays where it is one pixel wide.
            pseudo_clips: makes clips of stills in training; the augmentations then give stills
                `MARGIN` times as large as the frames that are wanted.
        """
        self.is_train = is_train
        self.augmentations = T.AugmentationList(augmentations)
        self.image_format = image_format
        self.train_neighbors = train_neighbors
        self.train_radius = train_radius
        self.train_offset_weights = train_offset_weights
        self.test_lookahead = test_lookahead
        self.corners_are_pixels = corners_are_pixels
        self.pseudo_clips = pseudo_clips

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool) -> dict:
        makes_clips = is_train and cfg.INPUT.PSEUDO_CLIPS.ENABLED
        augmentations = build_augmentation(_with_margin(cfg) if makes_clips else cfg, is_train)
        if is_train and cfg.INPUT.CROP.ENABLED:
            augmentations.insert(0, T.RandomCrop(cfg.INPUT.CROP.TYPE, cfg.INPUT.CROP.SIZE))
        if is_train and cfg.INPUT.COLOR_JITTER > 0:
            augmentations += color_jitter(cfg.INPUT.COLOR_JITTER, cfg.INPUT.FORMAT)
        args = {
            "is_train": is_train,
            "augmentations": augmentations,
            "image_format": cfg.INPUT.FORMAT,
            "corners_are_pixels": cfg.INPUT.RESIZE_BY_FACTOR,
            "pseudo_clips": PseudoClips(cfg) if makes_clips else None,
        }
        if cfg.MODEL.META_ARCHITECTURE == "FGFA":
            args["train_neighbors"] = cfg.MODEL.FGFA.TRAIN_NEIGHBORS
            args["train_radius"] = cfg.MODEL.FGFA.TRAIN_RADIUS
            args["train_offset_weights"] = cfg.MODEL.FGFA.TRAIN_OFFSET_WEIGHTS
            reach = cfg.MODEL.FGFA.TEST_RADIUS * cfg.MODEL.FGFA.TEST_STRIDE
            args["test_lookahead"] = 0 if cfg.MODEL.FGFA.CAUSAL else reach
        return args

    def __call__(self, frame: dict) -> dict:
        """
        Args:
            frame: dict of a frame, see `fgfa.data.imagenet_vid.load_imagenet_vid`. It is
                left as it is.

        Raises:
            InputError: a frame's file is missing, broken or not of the annotated size.
        """
        frame = copy.deepcopy(frame)
        annotations = frame.pop("annotations", [])
        objects = [a for a in annotations if not a.get("iscrowd", 0)]
        if self.is_train and self.pseudo_clips is not None and frame["video_length"] == 1:
            self._add_pseudo_clip(frame, objects)
        elif self.is_train:
            self._add_training_inputs(frame, objects)
        else:
            self._add_test_inputs(frame)
        return frame

    def _add_training_inputs(self, frame: dict, objects: list[dict]) -> None:
        key = frame["frame_index"]
        images, transforms = self._read([key, *self._neighbors(key, frame["video_length"])], frame)
        frame["image"], *neighbors = images
        if neighbors:
            frame["neighbors"] = neighbors
        make_instances = _pixel_instances if self.corners_are_pixels else _instances
        frame["instances"] = make_instances(objects, transforms, frame)

    def _add_pseudo_clip(self, frame: dict, objects: list[dict]) -> None:
        rng = _global_rng()
        (still,), transforms = self._read([0], frame)
        boxes = np.array([a["bbox"] for a in objects], float).reshape(-1, 4)
        radius = self.train_radius
        neighbors = self._neighbors(radius, 2 * radius + 1)
        clip = self.pseudo_clips.make(
            np.ascontiguousarray(still.permute(1, 2, 0)),  # or OpenCV copies it for each frame
            transforms.apply_box(boxes).reshape(-1, 4),
            np.array([a["category_id"] for a in objects], int),
            [index - radius for index in neighbors],
            rng,
        )
        frame["image"], *neighbors = map(_to_tensor, clip.frames)
        if neighbors:
            frame["neighbors"] = neighbors
            frame["neighbor_flows"] = list(map(torch.from_numpy, clip.flows))
        frame["instances"] = Instances(
            frame["image"].shape[1:],
            gt_boxes=Boxes(torch.from_numpy(clip.boxes).float()),
            gt_classes=torch.from_numpy(clip.categories),
        )

    def _add_test_inputs(self, frame: dict) -> None:
        scale = image_scale(self.augmentations.augs, (frame["height"], frame["width"]))
        if scale is not None:
            frame["image_scale"] = scale
        if self.test_lookahead is None:
            (frame["image"],), _ = self._read([frame["frame_index"]], frame)
            return
        entering = entering_frames(frame["frame_index"], frame["video_length"], self.test_lookahead)
        frame["new_frames"], _ = self._read(entering, frame)

    def _neighbors(self, frame_index: int, length: int) -> list[int]:
        return training_neighbors(
            frame_index,
            length,
            self.train_radius,
            self.train_neighbors,
            _global_rng(),
            self.train_offset_weights,
        )

    def _read(self, indices: list[int], frame: dict) -> tuple[list[torch.Tensor], T.TransformList]:
        """Reads frames of the video and augments all as the first one."""
        size = (frame["height"], frame["width"])
        transforms = T.TransformList([])
        tensors: dict[int, torch.Tensor] = {}
        for index in dict.fromkeys(indices):
            image = read_frame(frame["video_frames"][index], self.image_format, size)
            if tensors:
                image = transforms.apply_image(image)
            else:
                first = T.AugInput(image)
                transforms = self.augmentations(first)
                image = first.image
            tensors[index] = _to_tensor(image)
        return [tensors[index] for index in indices], transforms


def _global_rng() -> np.random.Generator:
    # The data loader seeds numpy's global generator for every key frame.
    return np.random.default_rng(np.random.randint(2**31))


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W, C) to (C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def _with_margin(cfg: CfgNode) -> CfgNode:
    """Sizes of the stills that frames of the sizes of `cfg` are made of."""
    if cfg.INPUT.RESIZE_BY_FACTOR:
        raise InputError(
            "INPUT.PSEUDO_CLIPS.ENABLED and INPUT.RESIZE_BY_FACTOR do not go together; turn one off"
        )
    cfg = cfg.clone()
    cfg.defrost()
    cfg.INPUT.MIN_SIZE_TRAIN = [round(MARGIN * size) for size in cfg.INPUT.MIN_SIZE_TRAIN]
    cfg.INPUT.MAX_SIZE_TRAIN = round(MARGIN * cfg.INPUT.MAX_SIZE_TRAIN)
    return cfg


def _instances(annotations: list[dict], transforms: T.TransformList, frame: dict) -> Instances:
    """Ground truth of the augmented `image` of a frame, without boxes that lie outside."""
    image_size = tuple(frame["image"].shape[1:])
    annotations = [
        utils.transform_instance_annotations(annotation, transforms, image_size)
        for annotation in annotations
    ]
    return utils.filter_empty_instances(utils.annotations_to_instances(annotations, image_size))


def _pixel_instances(
    annotations: list[dict], transforms: T.TransformList, frame: dict
) -> Instances:
    """Ground truth of the augmented `image` of a frame, whose boxes end at the last pixel."""
    last = np.array([frame["width"], frame["height"]] * 2) - 1
    for annotation in annotations:
        box = np.clip([annotation["bbox"]], 0, last)
        annotation["bbox"] = transforms.apply_box(box)[0]
    return utils.annotations_to_instances(annotations, tuple(frame["image"].shape[1:]))
