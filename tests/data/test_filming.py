"""What a camera does to images."""

import numpy as np
import pytest

from fgfa.data.filming import compress, defocus, expose, lower_resolution, motion_blur


def dot(size=21):
    image = np.zeros((size, size, 3), np.uint8)
    image[size // 2, size // 2] = 255
    return image


def noise(size=(40, 60)):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize(("angle", "axis"), [(0, 1), (np.pi / 2, 0)])
def test_motion_blur_spreads_along_its_line_without_displacement(angle, axis):
    blurred = motion_blur(dot(), 7, angle)[..., 0]
    rows, columns = np.nonzero(blurred)
    across, along = (rows, columns) if axis == 1 else (columns, rows)
    assert set(across) == {10}
    assert along.min() == 7
    assert along.max() == 13


def test_motion_blur_of_no_length_leaves_the_image():
    assert np.array_equal(motion_blur(noise(), 0, 1.0), noise())


def test_defocus_spreads_alike_in_all_directions():
    blurred = defocus(dot(), 2.0)[..., 0].astype(int)
    assert blurred[10, 10] < 255
    assert np.array_equal(blurred, blurred.T)
    assert np.array_equal(blurred, blurred[::-1, ::-1])


def test_lower_resolution_keeps_size_and_mean_and_loses_detail():
    image = noise()
    low = lower_resolution(image, 0.25)
    assert low.shape == image.shape
    assert abs(low.mean() - image.mean()) < 3
    assert low.std() < image.std() / 2


def test_compress_loses_more_at_lower_quality():
    image = defocus(noise(), 1.0)
    errors = [np.abs(compress(image, q).astype(int) - image).mean() for q in (10, 95)]
    assert errors[0] > 2 * errors[1] > 0


def test_exposure_changes_all_pixels_alike_where_nothing_is_noisy():
    image = np.full((8, 8, 3), 120, np.uint8)
    exposed = expose(image, np.random.default_rng(1), noisy=0)
    assert len(np.unique(exposed)) == 1
    assert exposed[0, 0, 0] != 120
    assert len(np.unique(expose(image, np.random.default_rng(1), noisy=1))) > 3
