"""The geometry of clips made of stills: frames and flow must tell the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgfa.data.compositing import affine
from fgfa.data.pseudo_clip import CELL, Mover, Path, PseudoClip, Sprite

SIZE = (96, 128)
CENTER = np.array([64.0, 48.0])


def coordinates(height=150, width=200):
    """A still whose red is x and whose green is y, and blue is 0."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([x, y, 0 * x]).astype(np.uint8)


def steady():
    return Path(CENTER, np.zeros(2), np.zeros(2))


def shifting(x, y):
    return Path(CENTER, np.array([x, y]), np.zeros(2))


def clip_of(**kwargs):
    place = affine(np.eye(2), np.array([-36.0, -27.0]))  # the middle of the still
    return PseudoClip(coordinates(), SIZE, place, **{"camera": steady(), **kwargs})


def centers():
    y, x = np.mgrid[: SIZE[0] // CELL, : SIZE[1] // CELL]
    return (CELL * np.stack([x, y], axis=-1) + (CELL - 1) / 2).reshape(-1, 2)


def sample(frame, points):
    """Bilinear values (N, 3) at points (N, 2); NaN outside."""
    values = np.full((len(points), 3), np.nan)
    inside = ((points >= 0) & (points < np.array(SIZE[::-1]) - 1)).all(axis=1)
    x, y = points[inside].T
    column, row = x.astype(int), y.astype(int)
    fx, fy = (x - column)[:, None], (y - row)[:, None]
    frame = frame.astype(float)
    upper = frame[row, column] * (1 - fx) + frame[row, column + 1] * fx
    lower = frame[row + 1, column] * (1 - fx) + frame[row + 1, column + 1] * fx
    values[inside] = upper * (1 - fy) + lower * fy
    return values


def test_time_zero_leaves_everything_in_its_place():
    path = Path(CENTER, np.array([3.0, -1.0]), np.array([0.2, 0.1]), zoom=0.1, turn=0.3)
    np.testing.assert_allclose(path.at(0), np.eye(3), atol=1e-12)
    clip = clip_of(camera=path, movers=[Mover(np.array([80.0, 60.0, 120.0, 90.0]), path)])
    frame, seen = clip.draw(0)
    assert np.array_equal(frame, coordinates()[27:123, 36:164])
    assert not seen.any()
    np.testing.assert_allclose(clip.flow(0, seen), 0, atol=1e-6)


def test_path_bends():
    path = Path(CENTER, np.array([2.0, 0.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(path.displacement(4), (8, 8))
    np.testing.assert_allclose(path.displacement(-4), (-8, 8))


small = st.floats(-0.01, 0.01)
speed = st.floats(-2, 2)


@given(shift=st.tuples(speed, speed), zoom=small, turn=small, time=st.integers(-9, 9))
@settings(max_examples=30, deadline=None)
def test_flow_leads_to_the_same_point_of_the_still(shift, zoom, turn, time):
    camera = Path(CENTER, np.array(shift), np.zeros(2), zoom, turn)
    clip = clip_of(camera=camera)
    key, seen = clip.draw(0)
    other, _ = clip.draw(time)
    flow = clip.flow(time, seen)
    assert flow.shape == (2, 6, 8)
    assert flow.dtype == np.float32
    target = sample(other, centers() + CELL * flow.reshape(2, -1).T)
    here = sample(key, centers())
    # Where the still's border is seen, it is mirrored.
    known = ~np.isnan(target[:, 0]) & (target[:, :2] > 3).all(axis=1)
    known &= (target[:, :2] < (196, 146)).all(axis=1)
    assert np.abs(target - here)[known].max(initial=0) < 1.2


@given(shift=st.tuples(speed, speed), time=st.sampled_from([-9, -3, 5, 9]))
@settings(max_examples=30, deadline=None)
def test_movers_take_their_surroundings_along(shift, time):
    box = np.array([76.0, 59.0, 124.0, 91.0])  # of the still; cells 3-4 x 2-3 lie in it
    clip = clip_of(movers=[Mover(box, shifting(*shift))])
    key, seen = clip.draw(0)
    other, _ = clip.draw(time)
    flow = clip.flow(time, seen)
    way = time * np.array(shift) / CELL
    np.testing.assert_allclose(
        flow[:, 2:4, 3:5], np.broadcast_to(way[:, None, None], (2, 2, 2)), 1e-4, 1e-4
    )
    assert np.linalg.norm(flow, axis=0).max() <= np.linalg.norm(way) + 1e-4
    target = sample(other, centers() + CELL * flow.reshape(2, -1).T)
    known = ~np.isnan(target[:, 0])
    # The flow bends within a cell at the edge of what moves.
    assert np.abs(target - sample(key, centers()))[known].max() < 3


def test_a_mover_leaves_what_is_far_away():
    clip = clip_of(movers=[Mover(np.array([120.0, 90.0, 140.0, 110.0]), shifting(1, 0))])
    flow = clip.flow(8, np.zeros(SIZE, np.uint8))
    assert np.abs(flow[:, :3, :3]).max() == 0


def test_sprites_move_with_the_camera_and_on_their_own():
    texture = np.full((32, 32, 4), 255, np.uint8)
    sprite = Sprite(texture, affine(np.eye(2), np.array([32.0, 32.0])), shifting(2, 0))
    clip = clip_of(camera=shifting(0, 1), sprites=[sprite])
    key, seen = clip.draw(0)
    assert (seen[32:64, 32:64] == 1).all()
    assert np.count_nonzero(seen) == 32 * 32
    assert (key[seen == 1] == 255).all()
    later, seen_later = clip.draw(8)
    assert (seen_later[40:72, 48:80] == 1).all()
    assert (later[seen_later == 1] == 255).all()
    flow = clip.flow(8, seen)
    np.testing.assert_allclose(flow[:, 2:4, 2:4], np.tile([[[1.0]], [[0.5]]], (1, 2, 2)))
    np.testing.assert_allclose(flow[:, :2], np.tile([[[0.0]], [[0.5]]], (1, 2, 8)), atol=1e-6)


@pytest.mark.parametrize("size", [(96, 128), (90, 121)])
def test_partial_cells_have_flow(size):
    clip = PseudoClip(coordinates(), size, np.eye(3), shifting(16, 0))
    flow = clip.flow(1, np.zeros(size, np.uint8))
    assert flow.shape == (2, 6, 8)
    np.testing.assert_allclose(flow[0], 1, atol=1e-6)
