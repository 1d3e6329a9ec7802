"""The original's box arithmetic: its own numbers, and what must hold for any boxes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fgfa.modeling.legacy.boxes import (
    LegacyBox2BoxTransform,
    box_sides,
    clip_boxes,
    nms,
    pairwise_iou,
)

UNIT = LegacyBox2BoxTransform((1.0, 1.0, 1.0, 1.0))
IMAGE_SIZE = (120, 213)

corner = st.integers(0, 1000)
side = st.integers(1, 500)
box = st.tuples(corner, corner, side, side).map(
    lambda b: [float(b[0]), float(b[1]), float(b[0] + b[2] - 1), float(b[1] + b[3] - 1)]
)


@pytest.fixture(scope="module")
def ops(shared_dir: Path) -> dict[str, torch.Tensor]:
    golden = np.load(shared_dir / "golden" / "ops.npz")
    return {name: torch.from_numpy(golden[name]) for name in golden.files}


def assert_near(ours: torch.Tensor, original: torch.Tensor) -> None:
    torch.testing.assert_close(ours, original, atol=1e-5, rtol=0, check_dtype=False)


def test_boxes_are_decoded_as_by_the_original(ops):
    decoded = UNIT.apply_deltas(ops["decode_deltas"][:, 4:], ops["decode_boxes"])
    assert decoded.dtype == torch.float64
    assert_near(decoded, ops["decode_out"][:, 4:])


def test_boxes_are_clipped_as_by_the_original(ops):
    clipped = clip_boxes(ops["decode_out"][:, 4:], IMAGE_SIZE)
    assert torch.equal(clipped, ops["decode_clipped_120x213"][:, 4:])


def test_boxes_are_encoded_as_by_the_original(ops):
    assert_near(UNIT.get_deltas(ops["decode_boxes"], ops["encode_gt"]), ops["encode_out"])


def test_overlaps_are_those_of_the_original(ops):
    assert_near(pairwise_iou(ops["decode_boxes"], ops["encode_gt"][:7]), ops["overlaps"])


@pytest.mark.parametrize(
    ("boxes", "kept", "threshold"),
    [("nms_dets", "nms_keep_03", 0.3), ("nms_dets", "nms_keep_05", 0.5)],
)
def test_nms_keeps_what_the_original_keeps(ops, boxes, kept, threshold):
    ours = nms(ops[boxes][:, :4], ops[boxes][:, 4], threshold)
    assert torch.equal(ours, ops[kept])


def test_nms_keeps_the_same_where_scores_tie(ops):
    # The original's order among equal scores is that of NumPy's unstable sort.
    boxes = ops["nms_ties_dets64"]
    ours = nms(boxes[:, :4], boxes[:, 4], 0.3)
    assert sorted(ours.tolist()) == sorted(ops["nms_ties_keep_03"].tolist())


@given(src=box, target=box)
def test_decoding_undoes_encoding(src, target):
    transform = LegacyBox2BoxTransform((10.0, 10.0, 5.0, 5.0))
    src, target = torch.tensor([src]), torch.tensor([target])
    decoded = transform.apply_deltas(transform.get_deltas(src, target), src)
    torch.testing.assert_close(decoded, target.double(), atol=1e-2, rtol=0)


def test_weights_multiply_deltas():
    src, target = torch.tensor([[0.0, 0.0, 9.0, 19.0]]), torch.tensor([[1.0, 2.0, 20.0, 21.0]])
    deltas = LegacyBox2BoxTransform((10.0, 20.0, 5.0, 2.0)).get_deltas(src, target)
    expected = [10 * 6 / 10, 20 * 2 / 20, 5 * math.log(2), 0.0]
    torch.testing.assert_close(deltas, torch.tensor([expected]))


def test_growth_has_no_limit():
    grown = UNIT.apply_deltas(torch.tensor([[0.0, 0.0, 6.0, 0.0]]), torch.tensor([[0.0] * 4]))
    assert box_sides(grown)[0, 0].item() == pytest.approx(math.exp(6))


def test_a_decoder_gives_the_type_it_was_asked_for():
    transform = LegacyBox2BoxTransform((1.0, 1.0, 1.0, 1.0), torch.float32)
    assert transform.apply_deltas(torch.zeros(1, 4), torch.ones(1, 4)).dtype == torch.float32


@given(boxes=st.lists(box, min_size=1, max_size=5))
def test_a_box_overlaps_itself_fully_and_others_by_whole_pixels(boxes):
    iou = pairwise_iou(torch.tensor(boxes), torch.tensor(boxes))
    for i, a in enumerate(boxes):
        for j, b in enumerate(boxes):
            width = max(min(a[2], b[2]) - max(a[0], b[0]) + 1, 0)
            height = max(min(a[3], b[3]) - max(a[1], b[1]) + 1, 0)
            areas = [(x[2] - x[0] + 1) * (x[3] - x[1] + 1) for x in (a, b)]
            expected = width * height / (sum(areas) - width * height)
            assert iou[i, j].item() == pytest.approx(expected, abs=1e-5)


@given(boxes=st.lists(st.lists(st.floats(-300, 300), min_size=4, max_size=4), min_size=1))
def test_clipped_corners_are_pixels_of_the_image(boxes):
    clipped = clip_boxes(torch.tensor(boxes), IMAGE_SIZE)
    assert (clipped >= 0).all()
    assert (clipped[:, 0::2] <= IMAGE_SIZE[1] - 1).all()
    assert (clipped[:, 1::2] <= IMAGE_SIZE[0] - 1).all()


def test_sides_count_pixels():
    assert box_sides(torch.tensor([[3.0, 4.0, 3.0, 8.0]])).tolist() == [[1.0, 5.0]]


def test_neighboring_pixels_do_not_suppress_each_other_but_equal_ones_do():
    boxes = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.5]), 0.3).tolist() == [1, 0]
