"""Resizing by a factor and flipping of pixels, against OpenCV and the original's numbers."""

import cv2
import numpy as np
import pytest
from detectron2.data import transforms as T
from hypothesis import given
from hypothesis import strategies as st

from fgfa.data.resizing import ResizeByFactor, build_augmentation, image_scale
from fgfa.errors import InputError

SHORT, LONG = 600, 1000


@pytest.fixture
def original_cfg(cfg):
    cfg.INPUT.RESIZE_BY_FACTOR = True
    cfg.INPUT.MIN_SIZE_TEST = SHORT
    cfg.INPUT.MAX_SIZE_TEST = LONG
    cfg.INPUT.MAX_SIZE_TRAIN = LONG
    return cfg


def make_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def augment(augmentations: list, image: np.ndarray) -> tuple[np.ndarray, T.TransformList]:
    augmented = T.AugInput(image)
    transforms = T.AugmentationList(augmentations)(augmented)
    return augmented.image, transforms


def test_image_is_resized_by_the_factor_and_not_to_the_size(original_cfg):
    image = make_image(720, 1280)
    resized, transforms = augment(build_augmentation(original_cfg, is_train=False), image)
    assert resized.shape == (562, 1000, 3)
    by_factor = cv2.resize(image, None, None, fx=0.78125, fy=0.78125)
    assert (resized == by_factor).all()
    assert (resized != cv2.resize(image, (1000, 562))).any()
    box = transforms.apply_box(np.array([[8.0, 16.0, 1279.0, 719.0]]))
    assert box.tolist() == [[6.25, 12.5, 999.21875, 561.71875]]


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [
        (720, 1280, 0.78125),
        (1280, 720, 0.78125),
        (300, 400, 2.0),
        # A long side of 1000.45 rounds to the limit, one of 1000.88 does not.
        (445, 742, 600 / 445),
        (452, 754, 1000 / 754),
    ],
)
def test_factor_is_that_of_the_original(height: int, width: int, factor: float):
    assert ResizeByFactor([SHORT], LONG).draw_factor(height, width) == factor


@given(st.integers(8, 300), st.integers(8, 300))
def test_sides_are_rounded_half_to_even(height: int, width: int):
    resize = ResizeByFactor([60], 100)
    transform = resize.get_transform(np.empty((height, width, 3)))
    sides = transform.apply_image(np.zeros((height, width, 3), np.uint8)).shape[:2]
    assert sides == tuple(np.round(np.array([height, width]) * transform.factor))
    assert max(sides) <= 100
    assert min(sides) == 60 or max(sides) == 100


def test_zero_takes_the_image_as_it_is(original_cfg):
    original_cfg.INPUT.MIN_SIZE_TEST = 0
    image = make_image(40, 2000)
    augmentations = build_augmentation(original_cfg, is_train=False)
    assert (augment(augmentations, image)[0] == image).all()
    assert image_scale(augmentations, (40, 2000)) == 1.0


def test_sizes_of_training_are_drawn(original_cfg):
    original_cfg.INPUT.MIN_SIZE_TRAIN = (20, 80)
    np.random.seed(0)
    augmentations = build_augmentation(original_cfg, is_train=True)
    heights = {augment(augmentations, make_image(40, 60))[0].shape[0] for _ in range(20)}
    assert heights == {20, 80}


@pytest.mark.parametrize(
    ("direction", "axis", "flipped_box"),
    [("horizontal", 1, [1, 4, 49, 8]), ("vertical", 0, [10, 31, 58, 35])],
)
def test_flip_is_of_pixels_and_before_the_resize(
    original_cfg, direction: str, axis: int, flipped_box: list[int]
):
    original_cfg.INPUT.MIN_SIZE_TRAIN = (25,)
    original_cfg.INPUT.RANDOM_FLIP = direction
    augmentations = build_augmentation(original_cfg, is_train=True)
    image = make_image(40, 60)
    expected = {False: (image, [10, 4, 58, 8]), True: (np.flip(image, axis), flipped_box)}
    seen = set()
    np.random.seed(0)
    for _ in range(20):
        augmented, transforms = augment(augmentations, image)
        flips = (T.HFlipTransform, T.VFlipTransform)
        is_flipped = any(isinstance(t, flips) for t in transforms.transforms)
        pixels, box = expected[is_flipped]
        assert (augmented == cv2.resize(pixels, None, None, fx=0.625, fy=0.625)).all()
        corners = transforms.apply_box(np.array([[10.0, 4.0, 58.0, 8.0]]))[0]
        assert corners.tolist() == [0.625 * corner for corner in box]
        seen.add(is_flipped)
    assert seen == {True, False}


@pytest.mark.parametrize("is_train", [True, False])
def test_without_the_key_it_is_detectron2s(cfg, is_train: bool):
    cfg.INPUT.RANDOM_FLIP = "horizontal"
    augmentations = build_augmentation(cfg, is_train)
    kinds = [T.ResizeShortestEdge, T.RandomFlip] if is_train else [T.ResizeShortestEdge]
    assert [type(a) for a in augmentations] == kinds
    assert image_scale(augmentations, (720, 1280)) is None


def test_scale_of_a_frame(original_cfg):
    augmentations = build_augmentation(original_cfg, is_train=False)
    assert image_scale(augmentations, (720, 1280)) == 0.78125
    assert type(image_scale(augmentations, (720, 1280))) is float


@pytest.mark.parametrize(
    ("key", "value"), [("MIN_SIZE_TRAIN_SAMPLING", "range"), ("CROP.ENABLED", True)]
)
def test_what_the_original_does_not_do_is_one_sentence(original_cfg, key: str, value: object):
    original_cfg.merge_from_list([f"INPUT.{key}", value])
    build_augmentation(original_cfg, is_train=False)
    with pytest.raises(InputError, match=key.replace(".", r"\.")):
        build_augmentation(original_cfg, is_train=True)
