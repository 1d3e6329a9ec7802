from dataclasses import replace

import cv2
import numpy as np
import pytest

from fgfa.data import shape_scene
from fgfa.data.compositing import composite
from fgfa.data.shape_drawing import SHAPES, noise_texture, shape_outline
from fgfa.data.shape_scene import ShapeScene

SIZE = (96, 144)


@pytest.fixture(params=range(6))
def scene(request):
    return ShapeScene(SIZE, seed=request.param)


def always(monkeypatch, mishap):
    monkeypatch.setattr(
        shape_scene, "MISHAPS", {name: float(name == mishap) for name in shape_scene.MISHAPS}
    )


def sharpness(frame):
    return cv2.Laplacian(frame, cv2.CV_32F).var()


def test_centers_move_evenly_and_bounce(scene):
    for shape in scene.shapes:
        centers = np.array([shape.center(t) for t in range(400)])
        assert (centers >= shape.bounds[0]).all()
        assert (centers <= shape.bounds[1]).all()
        steps = np.abs(np.diff(centers, axis=0))
        np.testing.assert_allclose(steps.max(axis=0), np.abs(shape.velocity), atol=1e-9)
        np.testing.assert_allclose(centers[0], shape.start, atol=1e-9)


def test_box_encloses_what_is_drawn(scene):
    for shape in scene.shapes:
        for time in (0, 3, 17.5):
            to_frame = [np.eye(3), shape.to_frame(time)]
            _, seen = composite([scene.background, shape.texture], to_frame, SIZE)
            y, x = np.nonzero(seen)
            low, high = shape.box(time)
            border = np.array(SIZE[::-1]) - 1
            np.testing.assert_allclose((x.min(), y.min()), np.clip(low, 0, border), atol=1.6)
            np.testing.assert_allclose((x.max(), y.max()), np.clip(high, 0, border), atol=1.6)


def test_frame_shows_what_is_listed(scene):
    frame, shapes = scene.draw(0)
    assert frame.shape == (*SIZE, 3)
    assert frame.dtype == np.uint8
    assert shapes
    for shape in shapes:
        x1, y1, x2, y2 = shape.box
        assert 0 <= x1 < x2 < SIZE[1]
        assert 0 <= y1 < y2 < SIZE[0]
        assert shape.name == scene.shapes[shape.track_id].name


def test_seed_decides():
    first, again, other = (ShapeScene(SIZE, seed) for seed in (1, 1, 2))
    for time in range(3):
        frame, shapes = first.draw(time)
        same_frame, same_shapes = again.draw(time)
        assert np.array_equal(frame, same_frame)
        assert shapes == same_shapes
        assert not np.array_equal(frame, other.draw(time)[0])


@pytest.mark.parametrize(
    ("share", "listed", "occluded"), [(0.0, True, False), (0.5, True, True), (0.9, False, None)]
)
def test_hidden_shapes_are_left_out_and_partly_hidden_ones_marked(
    scene, monkeypatch, share, listed, occluded
):
    always(monkeypatch, "none")
    shape = replace(scene.shapes[0], start=np.array([72.0, 48.0]))
    pixels = np.cumsum(np.count_nonzero(shape.texture[..., 3] > 127, axis=1))
    lid = shape.texture.copy()  # the shape's own upper rows, in front of it
    lid[pixels > share * pixels[-1]] = 0
    scene.shapes = [shape, replace(shape, texture=lid)] if share > 0 else [shape]
    found = [visible for visible in scene.draw(0)[1] if visible.track_id == 0]
    assert len(found) == listed
    for visible in found:
        assert visible.occluded is occluded
        corners = np.clip(np.rint(shape.box(0)), 0, np.array(SIZE[::-1]) - 1)
        assert visible.box == tuple(corners.flatten())


def test_defocus_blurs_the_frame(scene, monkeypatch):
    always(monkeypatch, "none")
    sharp = cv2.GaussianBlur(scene.draw(0)[0], (0, 0), 1)
    always(monkeypatch, "defocus")
    blurred = cv2.GaussianBlur(scene.draw(0)[0], (0, 0), 1)
    assert sharpness(blurred) < 0.7 * sharpness(sharp)


def test_long_exposure_blurs_only_what_moves(scene, monkeypatch):
    shape = replace(scene.shapes[0], velocity=np.zeros(2), spin=0.0)
    still = replace(shape, start=np.array([36.0, 48.0]))
    fast = replace(shape, start=np.array([108.0, 48.0]), velocity=np.array([8.0, 0.0]))
    scene.shapes = [still, fast]
    always(monkeypatch, "none")
    sharp = scene.draw(0)[0].astype(float)
    always(monkeypatch, "long exposure")
    change = np.abs(scene.draw(0)[0] - sharp).max(axis=-1)
    assert change[:, :72].max() < 30  # noise only
    assert change[:, 72:].max() > 50


def test_bars_hide_parts_of_shapes(scene, monkeypatch):
    always(monkeypatch, "bars")
    frames = [scene.draw(0) for _ in range(8)]
    expected = len(scene.shapes)
    assert any(len(shapes) < expected or any(s.occluded for s in shapes) for _, shapes in frames)


@pytest.mark.parametrize("name", SHAPES)
def test_outlines_touch_the_unit_circle(name):
    radii = np.linalg.norm(shape_outline(name), axis=1)
    assert radii.max() == pytest.approx(1)
    assert 0.35 < radii.min() <= 1


def test_outlines_differ_in_area():
    areas = [cv2.contourArea(shape_outline(name).astype(np.float32)) for name in SHAPES]
    assert len({round(area, 2) for area in areas}) == len(SHAPES)


def test_noise_has_color_and_contrast():
    color = np.array([60.0, 120.0, 180.0])
    rng = np.random.default_rng(0)
    flat, rough = (noise_texture(rng, (200, 300), color, contrast=c) for c in (0, 30))
    assert (flat == color).all()
    np.testing.assert_allclose(rough.mean(axis=(0, 1)), color, atol=15)
    assert 15 < rough.std(axis=(0, 1)).mean() < 45
