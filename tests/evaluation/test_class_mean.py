import numpy as np

from fgfa.evaluation.class_mean import class_mean


def test_classes_without_boxes_are_left_out():
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(class_mean(values), [2.0, np.nan])
