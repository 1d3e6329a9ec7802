"""Random clips: what is annotated is what one can see in the key frame."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from fgfa.data.compositing import opaque
from fgfa.data.cutouts import Cutout
from fgfa.data.pseudo_clips import MARGIN, PseudoClips

RED, GREEN = (230, 20, 20), (20, 230, 20)
BOX = np.array([[80.0, 40.0, 120.0, 80.0]])
SIZE = (80, 128)  # of the frames


def still():
    """A red square in the middle of a gray still."""
    image = np.full((100, 160, 3), 90, np.uint8)
    image[40:80, 80:120] = RED
    return image


class GreenSquares:
    """Cut-outs of category 7."""

    def draw(self, rng):
        texture = opaque(np.full((30, 30, 3), GREEN, np.uint8))
        return Cutout(texture, np.array([0.0, 0.0, 30.0, 30.0]), 7)


def make(seed=0, times=(-9, 4), **kwargs):
    clips = PseudoClips(**{"cutouts": None, "most_cutouts": 2, "degraded": 0.0, **kwargs})
    return clips.make(still(), BOX, np.array([3]), times, np.random.default_rng(seed))


def extent(frame, color):
    """The box around pixels of a color, and how many there are."""
    like = np.abs(frame.astype(int) - color).max(axis=-1) < 70
    if not like.any():
        return None, 0
    y, x = np.nonzero(like)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]), like.sum()


def test_sizes_and_types():
    clip = make()
    assert [frame.shape for frame in clip.frames] == [(*SIZE, 3)] * 3
    assert {frame.dtype for frame in clip.frames} == {np.dtype(np.uint8)}
    assert [flow.shape for flow in clip.flows] == [(2, 5, 8)] * 2
    assert {flow.dtype for flow in clip.flows} == {np.dtype(np.float32)}
    assert clip.categories.tolist() == [3]


def test_the_generator_decides():
    first, again, other = (make(seed, degraded=0.5) for seed in (4, 4, 5))
    for a, b, c in zip(first.frames, again.frames, other.frames, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_boxes_follow_the_objects():
    errors = []
    for seed in range(40):
        clip = make(seed, times=())
        found, _ = extent(clip.frames[0], RED)
        errors.append(np.abs(clip.boxes[0] - found).max())
        assert clip.boxes.min() >= 0
        assert (clip.boxes[:, 2:] <= SIZE[::-1]).all()
    # A square that is turned has a larger box; compression frays its edge.
    assert np.median(errors) < 1.5
    assert max(errors) < 5


def test_frames_show_all_of_the_still_or_a_part():
    widths = np.array([np.diff(make(seed, times=()).boxes[0, [0, 2]])[0] for seed in range(40)])
    assert widths.min() > 40 / MARGIN - 1
    assert 42 < widths.max() < 47


def test_cutouts_are_annotated_where_they_are_seen():
    found = 0
    for seed in range(30):
        clip = make(seed, times=(), cutouts=GreenSquares(), most_cutouts=1)
        for box in clip.boxes[clip.categories == 7]:
            found += 1
            seen, _ = extent(clip.frames[0], GREEN)
            assert np.abs(box - seen).max() < 4
    assert found >= 8


def test_cutouts_are_as_many_as_allowed():
    counts = [
        np.count_nonzero(make(seed, times=(), cutouts=GreenSquares()).categories == 7)
        for seed in range(40)
    ]
    assert set(counts) == {0, 1, 2}


def test_hidden_objects_are_not_annotated():
    annotated = {True: 0, False: 0}
    for seed in range(120):
        clip = make(seed, times=(), cutouts=GreenSquares(), most_cutouts=15)
        _, pixels = extent(clip.frames[0], RED)
        share = pixels / 1024  # of the square at its smallest
        if share < 0.1 or share > 0.6:
            annotated[share > 0.6] += 1
            assert (3 in clip.categories) == (share > 0.6)
    assert min(annotated.values()) >= 3


def test_objects_without_much_in_the_frame_are_not_annotated():
    clips = PseudoClips(None, 0, 0.0)
    edge = np.array([[158.0, 40.0, 190.0, 80.0]])
    for seed in range(10):
        clip = clips.make(still(), edge, np.array([3]), (), np.random.default_rng(seed))
        assert len(clip.boxes) == 0
        assert clip.boxes.shape == (0, 4)


def test_a_still_without_objects():
    clip = PseudoClips(None, 0, 0.0).make(
        still(), np.zeros((0, 4)), np.zeros(0, int), [1], np.random.default_rng(0)
    )
    assert clip.boxes.shape == (0, 4)
    assert clip.categories.shape == (0,)


def test_clips_move():
    lengths = [np.abs(flow).max() for seed in range(20) for flow in make(seed).flows]
    assert np.median(lengths) > 0.05
    assert max(lengths) > 0.5


def test_degraded_frames_lose_detail_apart_from_each_other():
    noise = np.random.default_rng(0).integers(0, 256, (100, 160, 3), np.uint8)

    def sharpness(seed, degraded):
        clip = PseudoClips(None, 0, degraded).make(
            noise, BOX, np.array([3]), range(1, 8), np.random.default_rng(seed)
        )
        return np.array([cv2.Laplacian(f[..., 1], cv2.CV_32F).std() for f in clip.frames])

    good = np.concatenate([sharpness(seed, 0.0) for seed in range(3)])
    bad = np.concatenate([sharpness(seed, 1.0) for seed in range(3)])
    some = sharpness(0, 0.5)
    assert np.median(bad) < 0.6 * np.median(good)
    assert max(abs(a - b) for a, b in pairwise(some)) > 0.3 * np.median(good)


@pytest.mark.parametrize("degraded", [0.0, 1.0])
def test_what_covers_the_key_frame_hides_objects(degraded):
    tiny = np.array([[95.0, 55.0, 101.0, 61.0]])
    clips = PseudoClips(None, 0, degraded)
    kept = [
        len(clips.make(still(), tiny, np.array([3]), (), np.random.default_rng(s)).boxes)
        for s in range(150)
    ]
    assert all(kept) == (degraded == 0)
