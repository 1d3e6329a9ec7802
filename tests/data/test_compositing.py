import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgfa.data.compositing import affine, apply_affine, composite, draw_over, opaque, rotation

RED, GREEN, BLUE = np.eye(3) * 255


def plain(size, color):
    return opaque(np.full((*size, 3), color, np.uint8))


def shifted(x, y):
    return affine(np.eye(2), np.array([x, y]))


def test_later_textures_cover_earlier_ones():
    textures = [plain((8, 8), RED), plain((4, 4), GREEN), plain((4, 4), BLUE)]
    frame, seen = composite(textures, [np.eye(3), shifted(1, 1), shifted(3, 3)], (8, 8))
    assert (frame[seen == 0] == RED).all()
    assert (frame[1:5, 1:3] == GREEN).all()
    assert (frame[3:7, 3:7] == BLUE).all()
    assert (seen[3:7, 3:7] == 2).all()
    assert [np.count_nonzero(seen == i) for i in range(3)] == [64 - 16 - 12, 12, 16]


def test_half_coverage_mixes():
    veil = plain((4, 4), GREEN)
    veil[..., 3] = 51
    frame, seen = composite([plain((4, 4), RED), veil], [np.eye(3)] * 2, (4, 4))
    assert (frame == (204, 51, 0)).all()
    assert not seen.any()


def test_background_is_mirrored_beyond_its_border():
    ramp = opaque(np.tile(np.arange(4, dtype=np.uint8)[:, None], (4, 1, 3)))
    frame, _ = composite([ramp], [shifted(2, 0)], (4, 8))
    assert frame[0, :, 0].tolist() == [2, 1, 0, 1, 2, 3, 2, 1]


@pytest.mark.parametrize("place", [(-4, 0), (0, -4), (8, 0), (0, 8), (100, -100)])
def test_texture_outside_the_frame(place):
    textures = [plain((8, 8), RED), plain((4, 4), GREEN)]
    frame, seen = composite(textures, [np.eye(3), shifted(*place)], (8, 8))
    assert (frame == RED).all()
    assert not seen.any()


@given(
    angle=st.floats(-4, 4),
    zoom=st.floats(0.3, 3),
    shift=st.tuples(st.floats(-30, 60), st.floats(-30, 60)),
)
@settings(max_examples=60, deadline=None)
def test_same_as_a_warp_over_the_whole_frame(angle, zoom, shift):
    texture = opaque(np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8))
    matrix = affine(zoom * rotation(angle), np.array(shift))
    frame, _ = composite([plain((32, 40), 0 * RED), texture], [np.eye(3), matrix], (32, 40))
    warped = cv2.warpAffine(texture, matrix[:2], (40, 32)).astype(float)
    expected = warped[..., :3] * warped[..., 3:] / 255
    # OpenCV rounds positions to 1/32 pixels, from another origin here.
    assert np.abs(frame - expected).mean() < 1.5


def test_rotation_turns_x_towards_y():
    np.testing.assert_allclose(rotation(np.pi / 2) @ (1, 0), (0, 1), atol=1e-12)


def test_draw_over_leaves_the_frame():
    frame = np.full((8, 8, 3), 7, np.uint8)
    drawn, seen = draw_over(frame, [plain((4, 4), GREEN)], [shifted(2, 2)])
    assert (frame == 7).all()
    assert (drawn[2:6, 2:6] == GREEN).all()
    assert (drawn[seen == 0] == 7).all()
    assert np.count_nonzero(seen == 1) == 16


def test_apply_affine_maps_points_of_any_shape():
    points = np.array([[[1.0, 2.0], [0.0, 0.0]]])
    moved = apply_affine(affine(np.array([[0.0, -1.0], [2.0, 0.0]]), np.array([5.0, 6.0])), points)
    np.testing.assert_allclose(moved, [[[3.0, 8.0], [5.0, 6.0]]])
