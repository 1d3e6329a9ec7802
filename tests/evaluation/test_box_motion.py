import numpy as np

from fgfa.evaluation.box_motion import load_box_motion
from fgfa.evaluation.motion_iou_file import write_motion_iou

BOX = [0, 0, 9, 9]


def test_from_track_ids(make_frames):
    motion = load_box_motion(make_frames([[(BOX, 0, 1)], [(BOX, 0, 1)], []]))
    assert motion.values.tolist() == [1, 1]
    assert sorted(motion.population) == [0, 1, 1]


def test_from_a_file_with_the_population_of_all_of_it(make_frames, tmp_path):
    path = tmp_path / "motion.mat"
    write_motion_iou(path, [np.array([0.5]), np.array([0.25]), np.zeros(0)])
    motion = load_box_motion(make_frames([[(BOX, 0, None)]], first_id=2), path)
    assert motion.values.tolist() == [0.25]
    assert sorted(motion.population) == [0, 0.25, 0.5]


def test_neither(make_frames):
    assert load_box_motion(make_frames([[(BOX, 0, None)]])) is None
