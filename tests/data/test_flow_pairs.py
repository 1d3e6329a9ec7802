import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fgfa.data.compositing import affine, composite, opaque
from fgfa.data.flow_pairs import SyntheticFlowPairs, exact_flow
from fgfa.errors import InputError

SIZE = (64, 96)
small = st.floats(-0.2, 0.2)
shift = st.floats(-8, 8)


def smooth_image(seed, size=(90, 120)):
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.uint8(np.clip(128 + 16 * (smooth - 128), 0, 255))


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    paths = [folder / f"{seed}.png" for seed in range(4)]
    for seed, path in enumerate(paths):
        cv2.imwrite(str(path), smooth_image(seed))
    return paths


def pairs_of(stills, **kwargs):
    return SyntheticFlowPairs(stills, size=SIZE, **{"length": 40, **kwargs})


def positions():
    return np.stack(np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0])), axis=-1).astype(np.float32)


def follow(neighbor, flow):
    """The neighbor's value where the flow of each key pixel points."""
    target = positions() + flow
    return cv2.remap(neighbor, target, None, cv2.INTER_LINEAR)


def inside(flow):
    target = positions() + flow
    return ((target >= 1) & (target <= np.array(SIZE[::-1]) - 2)).all(axis=-1)


def test_item(stills):
    item = pairs_of(stills)[0]
    assert item["key"].shape == item["neighbor"].shape == (3, *SIZE)
    assert item["key"].dtype == item["neighbor"].dtype == torch.uint8
    assert item["flow"].shape == (2, *SIZE)
    assert item["flow"].dtype == torch.float32


def test_seed_and_index_decide(stills):
    pairs = pairs_of(stills)
    expected = [pairs[i] for i in (3, 4)]
    again = pairs_of(stills, length=5)
    again[0]
    for i, item in zip((3, 4), expected, strict=True):
        assert all(torch.equal(again[i][name], item[name]) for name in item)
    assert not torch.equal(expected[0]["key"], expected[1]["key"])
    assert not torch.equal(pairs_of(stills, seed=1)[3]["key"], expected[0]["key"])


def test_length_ends_iteration(stills):
    assert len(list(pairs_of(stills, length=3))) == len(pairs_of(stills, length=3)) == 3


@given(linear=st.tuples(small, small, small, small), move=st.tuples(shift, shift))
@settings(max_examples=40, deadline=None)
def test_flow_is_the_motion_of_the_layer_that_is_seen(linear, move):
    motion = affine(np.eye(2) + np.reshape(linear, (2, 2)), np.array(move))
    seen = np.zeros((5, 7), np.uint8)
    seen[1, 2] = 1
    flow = exact_flow(seen, [np.eye(3), motion])
    np.testing.assert_allclose(flow[1, 2], (motion @ (2, 1, 1))[:2] - (2, 1), atol=1e-5)
    assert np.abs(flow).sum() == np.abs(flow[1, 2]).sum()


@given(linear=st.tuples(small, small, small, small), move=st.tuples(shift, shift))
@settings(max_examples=30, deadline=None)
def test_flow_leads_to_the_same_surface(linear, move):
    motion = affine(np.eye(2) + np.reshape(linear, (2, 2)), np.array(move))
    texture = opaque(smooth_image(0))
    key, seen = composite([texture], [np.eye(3)], SIZE)
    neighbor, _ = composite([texture], [motion], SIZE)
    flow = exact_flow(seen, [motion])
    error = np.abs(follow(neighbor, flow).astype(float) - key).max(axis=-1)[inside(flow)]
    assert error.size == 0 or np.quantile(error, 0.99) < 5
    assert error.size == 0 or error.mean() < 1


def test_neighbor_shows_each_layer_where_the_flow_points(stills):
    pairs = pairs_of(stills)
    for seed in range(8):
        textures, to_key, motions = zip(
            *pairs.random_layers(np.random.default_rng(seed)), strict=True
        )
        to_neighbor = [m @ place for m, place in zip(motions, to_key, strict=True)]
        key, seen = composite(textures, to_key, SIZE)
        neighbor, seen_there = composite(textures, to_neighbor, SIZE)
        flow = exact_flow(seen, motions)
        target = np.rint(positions() + flow)
        same = cv2.remap(seen_there, target, None, cv2.INTER_NEAREST) == seen
        edges = cv2.dilate(cv2.Canny(seen * 50, 10, 20) | cv2.Canny(seen_there * 50, 10, 20), None)
        away = cv2.remap(cv2.dilate(edges, np.ones((7, 7))), target, None, cv2.INTER_NEAREST) == 0
        visible = same & inside(flow) & away & (cv2.dilate(edges, np.ones((7, 7))) == 0)
        error = np.abs(follow(neighbor, flow).astype(float) - key).max(axis=-1)[visible]
        assert visible.mean() > 0.2
        assert np.quantile(error, 0.99) < 12
        assert error.mean() < 2


def test_without_displacement_nothing_moves(stills):
    pairs = pairs_of(stills, max_displacement=0)
    for item in pairs:
        assert item["flow"].abs().max() == 0
    # Exposure, noise and blur change the images, but move nothing.
    gray = [[item[k].float().mean(dim=0).numpy() for k in ("key", "neighbor")] for item in pairs]
    shifts = [cv2.phaseCorrelate(key, neighbor)[0] for key, neighbor in gray]
    assert np.abs(shifts).max() < 0.3
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.03


def test_most_motions_are_small_and_some_large(stills):
    pairs = pairs_of(stills, max_displacement=20, length=100)
    speeds = torch.cat([item["flow"].norm(dim=0)[::4, ::4].flatten() for item in pairs])
    low, middle, high = speeds.quantile(torch.tensor([0.1, 0.5, 0.98]))
    assert low < 1
    assert middle < 8
    assert high > 15


def test_no_stills():
    with pytest.raises(InputError, match="no stills"):
        SyntheticFlowPairs([], length=1)


def test_unreadable_still(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"broken\.jpg: the image cannot be read"):
        pairs_of([path])[0]
