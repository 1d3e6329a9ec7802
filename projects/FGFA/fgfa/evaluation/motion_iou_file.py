"""The motion IoU file of the original: MATLAB, one cell a frame with one value a box."""

import os
from collections.abc import Sequence

import numpy as np
import scipy.io

from fgfa.errors import InputError
from fgfa.evaluation.mat_file import read_vectors
from fgfa.files import atomic_write

_KEY = "motion_iou"


def read_motion_iou(path: str | os.PathLike[str]) -> list[np.ndarray]:
    """Reads a motion IoU file.

    Its variable is a cell array (frames, 1) of matrices (n, 1), float64 or, where all values are 1,
    uint8; (1, 0) for a frame without boxes.

    Args:
        path: a .mat file such as imagenet_vid_groundtruth_motion_iou.mat. Row r belongs to the
            frame of image_id r + 1.

    Returns:
        One float64 array (n,) a frame.

    Raises:
        InputError: the file cannot be read, or holds no motion IoU.
    """
    try:
        return read_vectors(path, _KEY)
    except OSError as error:
        raise InputError(f"cannot open the motion IoU file {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(
            f"{path} is not a motion IoU file ({error}): expected a MATLAB 5 file whose variable "
            f"{_KEY} is a cell array (frames, 1)"
        ) from error


def write_motion_iou(path: str | os.PathLike[str], frames: Sequence[np.ndarray]) -> None:
    """Writes a motion IoU file that the original's evaluator reads, too.

    Args:
        path: where; a suffix .mat.
        frames: one array (n,) a frame, in order of image_id from 1.
    """
    outer = np.empty((len(frames), 1), object)
    for row, values in enumerate(frames):
        column = np.asarray(values, np.float64)[:, None]
        outer[row, 0] = column if len(column) else np.zeros((1, 0))
    with atomic_write(path) as temporary:
        scipy.io.savemat(temporary, {_KEY: outer}, do_compression=True)


def rows_of_frames(
    dicts: Sequence[dict], frames: Sequence[np.ndarray], path: str | os.PathLike[str]
) -> list[np.ndarray]:
    """Picks the rows of a motion IoU file that belong to the frames of a data set.

    Args:
        dicts: a registered data set with `image_id` (from 1) and `annotations`.
        frames: what `read_motion_iou` gave.
        path: the file, for the message of an error.

    Returns:
        One array (n,) a frame dict, in the order of its annotations.

    Raises:
        InputError: an image_id lies outside the file, or a frame has another number of boxes there.
    """
    rows = []
    for frame in dicts:
        image_id, boxes = frame["image_id"], len(frame["annotations"])
        if not 1 <= image_id <= len(frames):
            raise InputError(
                f"frame {frame['file_name']} has image_id {image_id}, outside the 1..{len(frames)} "
                f"of the motion IoU file {path}: evaluate with the frame list the file was made for"
            )
        values = frames[image_id - 1]
        if len(values) != boxes:
            raise InputError(
                f"frame {frame['file_name']} (image_id {image_id}) has {boxes} boxes but "
                f"{len(values)} in the motion IoU file {path}: evaluate with the frame list and "
                "annotations the file was made for"
            )
        rows.append(values)
    return rows
