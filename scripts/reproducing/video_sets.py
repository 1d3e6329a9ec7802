"""The data sets of the tables: where their files are, and the settings that only one has."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fgfa.data.imagenet_vid import IMAGENET_VID_CLASSES, IMAGENET_VID_WNIDS, load_imagenet_vid
from fgfa.data.moving_shapes import MOVING_SHAPES_CLASSES
from reproducing.rows import COMPOSED_DIS_FLOW, COMPOSED_FLOW, DIS_FLOW, LEARNED_FLOW, TABLE_1, Row


@dataclass(frozen=True)
class VideoSet:
    """A data set and what its table is made with.

    Attributes:
        name: also that of its folder in DETECTRON2_DATASETS, and the start of its registered names.
        base_config: the config that the single-frame detector, from which all rows start, has.
        config: the config of FGFA, whose schedule all rows have.
        image_set: the list of the validation videos.
        class_names: by category id.
        wnids: what its annotations call them.
        rows: of the table.
        seeds: that are run where the command line names none.
        flow: options of `pretrain_flow.py`.
        flow_per_seed: whether each seed has a flow network of its own.
        drawn_by: the program that draws it, with its options; none where it has to be there.
    """

    name: str
    base_config: str
    config: str
    image_set: str
    class_names: Sequence[str]
    wnids: Sequence[str]
    rows: Sequence[Row]
    seeds: Sequence[int]
    flow: Sequence[str]
    flow_per_seed: bool
    drawn_by: Sequence[str] = ()

    def validation_frames(self, datasets: Path) -> list[dict]:
        """Frame dicts of the validation videos below the folder of data sets.

        Raises:
            InputError: they cannot be read.
        """
        categories = {wnid: category for category, wnid in enumerate(self.wnids)}
        root = datasets / self.name / "ILSVRC2015"
        return load_imagenet_vid(root, self.image_set, categories, "VID", False)


MOVING_SHAPES = VideoSet(
    name="moving_shapes",
    base_config="configs/moving_shapes/rfcn.yaml",
    config="configs/moving_shapes/fgfa.yaml",
    image_set="VID_val_videos",
    class_names=MOVING_SHAPES_CLASSES,
    wnids=MOVING_SHAPES_CLASSES,
    rows=(*TABLE_1, DIS_FLOW, COMPOSED_DIS_FLOW),
    seeds=(1, 2, 3),
    flow=("--size", "96", "144", "--iterations", "1200", "--lr", "1e-3"),
    flow_per_seed=True,
    # Four times the validation videos of the quickstart: intervals are twice as narrow.
    drawn_by=("scripts/make_moving_shapes.py", "--val-videos", "40"),
)
VID_MINI = VideoSet(
    name="vid_mini",
    base_config="configs/vid_mini/rfcn_efficientnet_lite0.yaml",
    config="configs/vid_mini/fgfa_rfcn_efficientnet_lite0.yaml",
    image_set="VID_val_clips",
    class_names=IMAGENET_VID_CLASSES,
    wnids=IMAGENET_VID_WNIDS,
    rows=(*TABLE_1, COMPOSED_FLOW, LEARNED_FLOW),
    seeds=(1,),
    flow=("--size", "192", "256", "--iterations", "8000", "--lr", "5e-4"),
    flow_per_seed=False,
)
VIDEO_SETS = {video_set.name: video_set for video_set in (MOVING_SHAPES, VID_MINI)}
