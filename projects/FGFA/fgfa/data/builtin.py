"""Registers the built-in data sets, below the folder that DETECTRON2_DATASETS names.

Those of the file `datasets.yaml` in that folder follow.
"""

import logging
import os
from pathlib import Path

from fgfa.data.datasets_file import FILE_NAME, register_datasets_file
from fgfa.data.imagenet_vid import register_imagenet_vid
from fgfa.data.moving_shapes import MOVING_SHAPES_CLASSES
from fgfa.errors import InputError

logger = logging.getLogger(__name__)


def register_builtin(root: Path) -> None:
    """Registers all built-in data sets; their files need not exist until they are used.

    Args:
        root: folder that holds `ILSVRC2015` and, for the small sets, `vid_mini/ILSVRC2015` and
            `moving_shapes/ILSVRC2015`.
    """
    full = root / "ILSVRC2015"
    register_imagenet_vid("imagenet_det_30classes_train", full, "DET_train_30classes", subset="DET")
    register_imagenet_vid(
        "imagenet_vid_train_15frames", full, "VID_train_15frames", subset="VID", key_frames=True
    )
    register_imagenet_vid("imagenet_vid_val", full, "VID_val_videos", subset="VID")

    mini = root / "vid_mini" / "ILSVRC2015"
    register_imagenet_vid("vid_mini_train", mini, "VID_train_stills", subset="VID")
    register_imagenet_vid("vid_mini_val", mini, "VID_val_clips", subset="VID")

    shapes = root / "moving_shapes" / "ILSVRC2015"
    for name, image_set, key_frames in (
        ("moving_shapes_train", "VID_train_keyframes", True),
        ("moving_shapes_val", "VID_val_videos", False),
    ):
        register_imagenet_vid(
            name,
            shapes,
            image_set,
            class_names=MOVING_SHAPES_CLASSES,
            subset="VID",
            key_frames=key_frames,
        )


def register_own(path: Path) -> None:
    """Registers the data sets of a `datasets.yaml`, if it is there.

    One that cannot be used is no error but a warning, since this runs on import, and the built-in
    data sets do without.
    """
    if path.is_file():
        try:
            register_datasets_file(path)
        except InputError as error:
            logger.warning("No data set of one's own is registered: %s", error)


_root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets"))
register_builtin(_root)
register_own(_root / FILE_NAME)
