from collections.abc import Callable
from pathlib import Path

import pytest

from fgfa.data.annotations.video_boxes import FrameBox
from fgfa.data.annotations.voc_xml import read_voc
from fgfa.errors import InputError


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(stem: str, *objects: str, width: int = 60) -> Path:
        folder = tmp_path / "labels" / "clip"
        folder.mkdir(parents=True, exist_ok=True)
        size = f"<size><width>{width}</width><height>40</height></size>"
        (folder / f"{stem}.xml").write_text(f"<annotation>{size}{''.join(objects)}</annotation>")
        return folder

    return write


def item(name: str, more: str = "") -> str:
    corners = "<xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax>"
    return f"<object><name>{name}</name><bndbox>{corners}</bndbox>{more}</object>"


def test_boxes_of_all_classes(write, write_frames):
    write("2", item("dog"), item("cat", "<trackid>5</trackid><occluded>1</occluded>"))
    read = read_voc(write("0"), write_frames())
    assert read.boxes == [
        FrameBox(2, "dog", (1, 2, 3, 4)),
        FrameBox(2, "cat", (1, 2, 3, 4), 5, True),
    ]
    (sentence,) = read.left_out
    assert sentence.endswith("clip: 1 frames have no XML file, and no boxes")


def test_errors(write, write_frames, tmp_path: Path):
    images = write_frames()
    with pytest.raises(InputError, match=r"labels/clip: there is no folder of this name"):
        read_voc(tmp_path / "labels" / "clip", images)
    folder = write("0", item("cat"), "<object><name>dog</name></object>")
    with pytest.raises(InputError, match=r"0\.xml, object 2: no <bndbox>"):
        read_voc(folder, images)
    write("0", width=61)
    with pytest.raises(InputError, match=r"0\.xml, <size>: frames of 61x40 pixels, but .*0\.png"):
        read_voc(folder, images)
    write("0")
    write("7")
    with pytest.raises(InputError, match=r"7\.xml: no frame in .*clip has this name"):
        read_voc(folder, images)
