import numpy as np
import pytest
from detectron2.data import transforms as T

from fgfa.data.color_jitter import RandomFrameSaturation, color_jitter

LUMA = [0.299, 0.587, 0.114]


def colors(seed):
    return np.random.default_rng(seed).integers(40, 216, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("image_format", ["RGB", "BGR"])
def test_saturation_of_zero_is_the_frames_own_gray(image_format):
    key, neighbor = colors(0), colors(1)
    transform = RandomFrameSaturation(0, 0, image_format).get_transform(key)
    rgb = neighbor if image_format == "RGB" else neighbor[:, :, ::-1]
    gray = np.rint(rgb @ np.array(LUMA))
    np.testing.assert_allclose(
        transform.apply_image(neighbor), gray[..., None].repeat(3, 2), atol=1
    )


def test_saturation_of_two_doubles_the_distance_from_gray():
    image = np.array([[[100, 120, 110], [0, 255, 0]]], np.uint8)
    result = RandomFrameSaturation(2, 2, "RGB").get_transform(image).apply_image(image)
    gray = image @ np.array(LUMA)
    np.testing.assert_array_equal(result[0, 0], np.rint(2 * image[0, 0] - gray[0, 0]))
    np.testing.assert_array_equal(result[0, 1], [0, 255, 0])
    assert result.dtype == np.uint8


def test_key_frame_does_not_show_in_a_neighbor():
    neighbor = np.full((6, 8, 3), 100, np.uint8)
    augmentations = T.AugmentationList(color_jitter(0.3, "RGB"))
    for seed in range(20):
        np.random.seed(seed)
        transforms = augmentations(T.AugInput(colors(seed)))
        assert len(np.unique(transforms.apply_image(neighbor))) == 1


def test_strength_bounds_the_change_of_brightness():
    np.random.seed(0)
    brightness = color_jitter(0.3, "RGB")[0]
    image = np.full((2, 2, 3), 100, np.uint8)
    means = [brightness.get_transform(image).apply_image(image).mean() for _ in range(200)]
    assert 69 <= min(means) < 80
    assert 120 < max(means) <= 130
