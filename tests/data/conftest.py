"""A small data set in ImageNet VID's layout, written frame by frame."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from detectron2.config import CfgNode, get_cfg
from PIL import Image

from fgfa import add_fgfa_config

# An object of an XML file: <name>, <trackid>, and x1, y1, x2, y2.
TinyObject = tuple[str, int, tuple[float, float, float, float]]


class TinyVid:
    """Writes lists, annotations and images below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add_frame(
        self,
        stem: str,
        objects: Sequence[TinyObject] = (),
        *,
        subset: str = "VID",
        gray: int = 0,
        size: tuple[int, int] = (40, 60),
    ) -> None:
        """A frame of `size` (height, width): left half of value `gray`, right half 100 more."""
        body = "".join(
            f"<object><trackid>{track}</trackid><name>{name}</name><bndbox>"
            f"<xmax>{x2}</xmax><xmin>{x1}</xmin><ymax>{y2}</ymax><ymin>{y1}</ymin>"
            "</bndbox><occluded>0</occluded></object>"
            for name, track, (x1, y1, x2, y2) in objects
        )
        height, width = size
        self.write_xml(
            stem,
            f"<annotation><size><width>{width}</width><height>{height}</height></size>"
            f"{body}</annotation>",
            subset=subset,
        )
        pixels = np.full((height, width, 3), gray, np.uint8)
        pixels[:, width // 2 :] += 100
        path = self.image_path(stem, subset)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, format="JPEG", quality=95)

    def add_clip(
        self, path: str, first: int, length: int, objects: Sequence[TinyObject] = ()
    ) -> None:
        """Frames first..first+length-1, of gray 0, 10, 20..., all with the same objects."""
        for index in range(length):
            self.add_frame(f"{path}/{first + index:06d}", objects, gray=10 * index)

    def write_xml(self, stem: str, text: str, *, subset: str = "VID") -> Path:
        path = self.root / "Annotations" / subset / f"{stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def image_path(self, stem: str, subset: str = "VID") -> Path:
        return self.root / "Data" / subset / f"{stem}.JPEG"

    def write_list(self, name: str, *lines: str) -> Path:
        path = self.root / "ImageSets" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path


@pytest.fixture
def tiny_vid(tmp_path: Path) -> TinyVid:
    return TinyVid(tmp_path / "ILSVRC2015")


@pytest.fixture
def cfg() -> CfgNode:
    """FGFA on images as small as those of `tiny_vid`, read without worker processes."""
    cfg = get_cfg()
    add_fgfa_config(cfg)
    cfg.MODEL.META_ARCHITECTURE = "FGFA"
    cfg.MODEL.FGFA.TEST_RADIUS = 2
    cfg.INPUT.FORMAT = "RGB"
    cfg.INPUT.MIN_SIZE_TRAIN = (40,)
    cfg.INPUT.MIN_SIZE_TEST = 40
    cfg.INPUT.RANDOM_FLIP = "none"
    cfg.DATALOADER.NUM_WORKERS = 0
    return cfg
