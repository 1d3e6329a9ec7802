import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfa.errors import InputError
from fgfa.evaluation.records import Detections, GroundTruth, ragged_arange, stable_order


def test_ragged_arange():
    values = ragged_arange(np.array([5, 9, 0]), np.array([2, 0, 3]))
    assert values.tolist() == [5, 6, 0, 1, 2]


def test_ground_truth_of_frames_with_and_without_boxes(make_frames):
    truth = GroundTruth.from_dicts(
        make_frames([[([1, 2, 3, 4], 7, 0)], [], [([0, 0, 1, 1], 2, 0), ([5, 5, 6, 6], 3, 1)]])
    )
    assert truth.image_ids.tolist() == [1, 2, 3]
    assert truth.frames.tolist() == [0, 2, 2]
    assert truth.classes.tolist() == [7, 2, 3]
    assert truth.boxes.tolist() == [[1, 2, 3, 4], [0, 0, 1, 1], [5, 5, 6, 6]]


def test_ground_truth_refuses_an_id_of_two_frames(make_frames):
    frames = make_frames([[], []]) + make_frames([[]], "other", first_id=2)
    with pytest.raises(InputError, match=r"video/000001\.JPEG shares image_id 2"):
        GroundTruth.from_dicts(frames)


def test_detections_concatenate_and_select():
    one = Detections(np.array([4]), np.array([1]), np.array([0.5]), np.array([[1.0, 2, 3, 4]]))
    two = Detections.concatenate([one, Detections.empty(), one])
    assert len(two) == 2 and two.boxes.shape == (2, 4)
    assert two[np.array([False, True])].image_ids.tolist() == [4]
    assert len(Detections.concatenate([])) == 0


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3)))
def test_stable_order_is_that_of_numpy(keys):
    keys = np.array(keys, np.int64)
    np.testing.assert_array_equal(stable_order(keys), np.argsort(keys, kind="stable"))
