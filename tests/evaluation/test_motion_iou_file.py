from pathlib import Path

import numpy as np
import pytest
import scipy.io

from fgfa.errors import InputError
from fgfa.evaluation.motion_iou import motion_population
from fgfa.evaluation.motion_iou_file import read_motion_iou, rows_of_frames, write_motion_iou

FRAMES = [np.array([0.25, 1.0]), np.zeros(0), np.array([0.7])]


def test_round_trip(tmp_path: Path):
    write_motion_iou(tmp_path / "motion.mat", FRAMES)
    read = read_motion_iou(tmp_path / "motion.mat")
    assert [values.tolist() for values in read] == [values.tolist() for values in FRAMES]


def test_written_in_the_official_nesting(tmp_path: Path):
    write_motion_iou(tmp_path / "motion.mat", FRAMES)
    cells = scipy.io.loadmat(tmp_path / "motion.mat")["motion_iou"]
    assert cells.shape == (3, 1)
    assert [cells[row, 0].shape for row in range(3)] == [(2, 1), (1, 0), (1, 1)]


def test_reads_uint8(tmp_path: Path):
    cells = np.empty((1, 1), object)
    cells[0, 0] = np.ones((2, 1), np.uint8)
    scipy.io.savemat(tmp_path / "motion.mat", {"motion_iou": cells})
    (values,) = read_motion_iou(tmp_path / "motion.mat")
    assert values.dtype == np.float64 and values.tolist() == [1, 1]


def test_official_file(shared_dir: Path):
    frames = read_motion_iou(shared_dir / "official" / "imagenet_vid_groundtruth_motion_iou.mat")
    assert len(frames) == 176126
    assert sum(len(values) == 0 for values in frames) == 4046
    population = motion_population(frames)
    shares = [
        ((population >= low) & (population <= high)).mean()
        for low, high in ((0, 0.7), (0.7, 0.9), (0.9, 1))
    ]
    assert np.round(shares, 4).tolist() == [0.2724, 0.3539, 0.3738]


@pytest.mark.parametrize("content", [b"", b"no MATLAB file", None])
def test_refuses_other_files(tmp_path: Path, content):
    path = tmp_path / "motion.mat"
    if content is None:
        scipy.io.savemat(path, {"other": np.ones(3)})
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"motion\.mat is not a motion IoU file"):
        read_motion_iou(path)


def test_refuses_a_missing_file(tmp_path: Path):
    with pytest.raises(InputError, match="cannot open the motion IoU file"):
        read_motion_iou(tmp_path / "motion.mat")


def test_rows_of_frames(make_frames):
    frames = make_frames([[([0, 0, 9, 9], 0, 1)]], first_id=3)
    (values,) = rows_of_frames(frames, FRAMES, "motion.mat")
    assert values.tolist() == [0.7]


def test_rows_outside_the_file(make_frames):
    frames = make_frames([[([0, 0, 9, 9], 0, 1)]], first_id=4)
    with pytest.raises(InputError, match=r"000000\.JPEG has image_id 4, outside the 1\.\.3"):
        rows_of_frames(frames, FRAMES, "motion.mat")


def test_rows_with_other_boxes(make_frames):
    frames = make_frames([[([0, 0, 9, 9], 0, 1)]], first_id=2)
    with pytest.raises(InputError, match=r"000000\.JPEG \(image_id 2\) has 1 boxes but 0"):
        rows_of_frames(frames, FRAMES, "motion.mat")
