"""Objects cut out along their outlines."""

import cv2
import numpy as np
import pytest

from fgfa.data.cutouts import ObjectCutouts, cut_out

BOX = np.array([40.0, 30.0, 120.0, 90.0])


def photo(seed=0):
    """A speckled red ellipse, which fills BOX, on speckled green."""
    image = np.full((120, 160, 3), (40, 140, 60), np.uint8)
    cv2.ellipse(image, (80, 60), (40, 30), 0, 0, 360, (200, 40, 30), cv2.FILLED)
    speckles = np.random.default_rng(seed).normal(0, 6, image.shape)
    return np.clip(image + speckles, 0, 255).astype(np.uint8)


@pytest.fixture
def frames(tmp_path):
    """Nine frames with an object of class 0, one with an object of class 3 and a crowd."""
    made = []
    for i in range(10):
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), photo(i)[..., ::-1])
        objects = [{"bbox": BOX.tolist(), "category_id": 0 if i < 9 else 3}]
        if i == 9:
            objects.append({"bbox": BOX.tolist(), "category_id": 1, "iscrowd": 1})
        frame = {"file_name": str(path), "height": 120, "width": 160, "annotations": objects}
        made.append(frame)
    return made


def test_coverage_follows_the_outline():
    texture = cut_out(photo(), BOX)
    # 15 % of margin on each side
    assert texture.shape == (78, 104, 4)
    y, x = np.mgrid[:78, :104]
    inside = ((x - 52) / 40) ** 2 + ((y - 39) / 30) ** 2
    covered = texture[..., 3] > 127
    assert covered[inside < 0.9].mean() > 0.98
    assert covered[inside > 1.15].mean() < 0.02
    assert np.abs(texture[covered][:, :3].mean(axis=0) - (200, 40, 30)).max() < 12


def test_what_fills_no_box_is_not_cut_out():
    assert cut_out(photo(), np.array([60.0, 50.0, 70.0, 60.0])) is None  # too small
    assert cut_out(np.full((120, 160, 3), 90, np.uint8), BOX) is None  # of one color
    assert cut_out(photo(), np.array([0.0, 0.0, 160.0, 120.0])) is None  # no background


def test_large_objects_are_shrunk():
    image = cv2.resize(photo(), None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    texture = cut_out(image, 5 * BOX)
    assert max(texture.shape) < 192 * 1.31
    assert (texture[..., 3] > 127).mean() == pytest.approx(0.785 / 1.69, abs=0.03)


def test_draw_balances_classes_and_leaves_out_crowds(frames):
    cutouts = ObjectCutouts(frames, "RGB")
    rng = np.random.default_rng(0)
    drawn = [cutouts.draw(rng) for _ in range(60)]
    categories = [cutout.category for cutout in drawn]
    assert set(categories) == {0, 3}
    assert 18 <= categories.count(3) <= 42
    np.testing.assert_allclose(drawn[0].box, [12, 9, 92, 69], atol=2)


def test_draw_follows_the_generator_and_not_what_was_drawn_before(frames):
    used = ObjectCutouts(frames, "RGB")
    for _ in range(3):
        used.draw(np.random.default_rng(5))
    pair = [c.draw(np.random.default_rng(1)) for c in (used, ObjectCutouts(frames, "RGB"))]
    assert np.array_equal(pair[0].texture, pair[1].texture)


def test_channels_come_in_the_order_of_the_format(frames):
    rgb, bgr = (ObjectCutouts(frames, f).draw(np.random.default_rng(1)) for f in ("RGB", "BGR"))
    middle = rgb.texture[39, 52, :3]
    assert middle[0] > 150
    assert np.abs(bgr.texture[39, 52, 2::-1].astype(int) - middle).max() < 30


def test_no_objects_no_cutouts():
    assert ObjectCutouts([], "RGB").draw(np.random.default_rng(0)) is None
