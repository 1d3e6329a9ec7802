"""Every reader of a user's file refuses a device, which a link in a data set may lead to."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from detectron2.modeling import build_model

from fgfa.checkpoint import FGFACheckpointer
from fgfa.config import load_config
from fgfa.convert.mxnet_file import is_mxnet_file, read_arrays
from fgfa.convert.torch_file import read_state_dict
from fgfa.data.annotation_xml import read_annotation
from fgfa.data.annotations.cvat_xml import read_cvat
from fgfa.data.annotations.mot import read_mot
from fgfa.data.annotations.video_boxes import VideoImages
from fgfa.data.coco_vid import load_coco_vid
from fgfa.data.datasets_file import register_datasets_file
from fgfa.data.frame_reading import read_frame
from fgfa.data.image_files import find_images, read_upright
from fgfa.data.image_set import read_image_set
from fgfa.data.video_reading import VideoReader
from fgfa.errors import InputError
from fgfa.evaluation.motion_iou_file import read_motion_iou
from fgfa.evaluation.prediction_file import read_predictions
from fgfa.files import refuse_special
from fgfa.plain_files import load_arrays, load_tensors
from fgfa.video_batch.settings import settings_of
from fgfa.video_batch.videos import find_videos
from publishing.results_table import read_results

NO_IMAGES = VideoImages("a", Path("a"), [], [])
REFUSED = "it is a device or a pipe, not a file"
# Who asks for a file first says only that there is none.
NO_FILE = "does not exist|no image file matches"

READERS: dict[str, Callable[[Path], object]] = {
    "annotation": lambda path: read_annotation(str(path), {}),
    "checkpoint of MXNet": read_arrays,
    "checkpoint of MXNet, its kind": is_mxnet_file,
    "checkpoint of PyTorch": read_state_dict,
    "COCO-VID": lambda path: load_coco_vid(path, "."),
    "config": lambda path: load_config(str(path)),
    "CVAT": lambda path: read_cvat(path, NO_IMAGES),
    "datasets.yaml": register_datasets_file,
    "frame": lambda path: read_frame(str(path), "RGB", (1, 1)),
    "image": lambda path: read_upright(str(path)),
    "images": lambda path: find_images([str(path)]),
    "list of frames": read_image_set,
    "list of videos": lambda path: find_videos([f"@{path}"]),
    "MOT": lambda path: read_mot(path, NO_IMAGES),
    "motion IoU": read_motion_iou,
    "predictions": lambda path: read_predictions(path, 1),
    "results": read_results,
    "video": lambda path: VideoReader(str(path)),
    "videos": lambda path: find_videos([str(path)]),
}


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A link to a device which, unlike others, has an end for readers that do not refuse it."""
    path = tmp_path / "device"
    path.symlink_to("/dev/null")
    return path


@pytest.mark.parametrize("name", READERS)
def test_devices_are_refused(name: str, device: Path):
    with pytest.raises(InputError, match=f"{REFUSED}|{NO_FILE}") as error:
        READERS[name](device)
    assert str(device) in str(error.value)


@pytest.mark.parametrize("read", [load_arrays, load_tensors])
def test_plain_files_are_no_devices(read: Callable[[Path], object], device: Path):
    with pytest.raises(OSError, match=REFUSED):
        read(device)


@pytest.mark.parametrize("suffix", ["pkl", "pth"])
def test_weights_are_no_device(suffix: str, tiny_cfg, device: Path):
    path = device.rename(device.with_suffix(f".{suffix}"))
    with pytest.raises(InputError, match=f"{REFUSED}|{NO_FILE}"):
        FGFACheckpointer(build_model(tiny_cfg), tiny_cfg).load(str(path))
    tiny_cfg.MODEL.WEIGHTS = str(path)
    with pytest.raises(InputError, match=f"device.*{REFUSED}"):
        settings_of(tiny_cfg, [])


def test_pipes_are_refused_and_nothing_else(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=REFUSED):
        refuse_special(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for other in ("file", "", "missing", "file/below"):
        refuse_special(tmp_path / other)
