from collections.abc import Callable
from pathlib import Path

import pytest

from fgfa.data.annotations.cvat_xml import cvat_name, read_cvat
from fgfa.data.annotations.video_boxes import FrameBox
from fgfa.errors import InputError

META = (
    "<task><size>3</size><original_size><width>60</width><height>40</height></original_size></task>"
)


def box(frame: int, corners: tuple[float, ...], *, outside: int = 0, occluded: int = 0) -> str:
    values = zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True)
    places = " ".join(f'{key}="{value}"' for key, value in values)
    return f'<box frame="{frame}" outside="{outside}" occluded="{occluded}" {places}/>'


def track(*boxes: str, identity: str = "4", label: str = 'label="cat"') -> str:
    return f'<track id="{identity}" {label}>{"".join(boxes)}</track>'


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*tracks: str, meta: str = META) -> Path:
        path = tmp_path / "clip.xml"
        body = f"<version>1.1</version><meta>{meta}</meta>{''.join(tracks)}"
        path.write_text(f"<annotations>{body}</annotations>")
        return path

    return write


def test_boxes_that_are_seen(write, write_frames):
    boxes = (
        box(0, (1, 2, 3, 4)),
        box(1, (1, 2, 3.5, 4), occluded=1),
        box(2, (1, 2, 3, 4), outside=1),
    )
    read = read_cvat(write(track(*boxes)), write_frames())
    assert read.images == range(3)
    assert list(read.boxes) == [
        FrameBox(0, "cat", (1, 2, 3, 4), 4, False),
        FrameBox(1, "cat", (1, 2, 3.5, 4), 4, True),
    ]
    assert not read.left_out


def test_frames_between_key_frames_lie_on_a_line(write, write_frames):
    key_frames = track(box(4, (0, 0, 9, 9), outside=1), box(0, (0, 0, 9, 9)), box(3, (3, 6, 12, 9)))
    images = write_frames(count=6)
    read = read_cvat(write(key_frames, meta=META.replace("<size>3", "<size>6")), images)
    assert [(item.frame, item.corners) for item in read.boxes] == [
        (0, (0, 0, 9, 9)),
        (1, (1, 2, 10, 9)),
        (2, (2, 4, 11, 9)),
        (3, (3, 6, 12, 9)),
    ]


def test_object_that_comes_back(write, write_frames):
    read = read_cvat(
        write(track(box(0, (0, 0, 1, 1), outside=1), box(2, (4, 4, 5, 5)))), write_frames()
    )
    assert [item.frame for item in read.boxes] == [2]


CHOSEN = "<size>3</size><start_frame>2</start_frame><stop_frame>7</stop_frame>"


@pytest.mark.parametrize(("count", "images"), [(3, range(3)), (9, range(2, 8, 2))])
@pytest.mark.parametrize("part", ["task", "job"])
def test_frames_that_cvat_chose(part: str, count: int, images: range, write, write_frames):
    meta = f"<{part}>{CHOSEN}<frame_filter>step=2</frame_filter></{part}>"
    read = read_cvat(write(track(box(4, (0, 0, 1, 1))), meta=meta), write_frames(count=count))
    assert read.images == images
    assert [item.frame for item in read.boxes] == [1]


def test_other_shapes_are_counted(write, write_frames):
    shapes = track('<polygon frame="0"/>', '<polygon frame="1"/>')
    (sentence,) = read_cvat(write(shapes), write_frames()).left_out
    assert sentence.endswith("clip.xml: 2 shapes <polygon>, which are no boxes")


@pytest.mark.parametrize(
    ("tracks", "sentence"),
    [
        (track(box(0, (1, 1, 2, 2)), box(3, (1, 1, 2, 2))), "track 1, box 2: frame 3 is none of"),
        (track(box(0, (1, 1, 0, 2))), "track 1, box 1: xbr or ybr lies before"),
        (track(box(0, ("a", 1, 0, 2))), "track 1, box 1: xtl is 'a', not a number"),
        (track(box(0, ("inf", 1, 0, 2))), "track 1, box 1: xtl is 'inf', not a number"),
        (track('<box frame="0" xtl="1"/>'), "track 1, box 1: ytl is '', not a number"),
        (track() + track(label=""), "track 2: it has no label"),
        (track(identity=""), "track 1: id is '', not a number"),
        ("<image/>", "not in the format 'CVAT for video 1.1'"),
        ("<track>", "not a complete XML file"),
    ],
)
def test_wrong_element(tracks: str, sentence: str, write, write_frames):
    with pytest.raises(InputError, match=r"clip\.xml") as caught:
        read_cvat(write(tracks), write_frames())
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("meta", "sentence"),
    [
        (META.replace("<size>3", "<size>4"), "clip.xml, <meta>: 4 frames, but"),
        (META.replace("40", "41"), "clip.xml, <original_size>: frames of 60x41 pixels, but"),
        (META.replace("<size>3", "<size>x"), "<size> 'x'"),
        ("<task><frame_filter>step=0</frame_filter></task>", "<frame_filter> 'step=0'"),
        ("<project/>", "export each task by itself"),
    ],
)
def test_wrong_meta(meta: str, sentence: str, write, write_frames):
    with pytest.raises(InputError) as caught:
        read_cvat(write(meta=meta), write_frames())
    assert sentence in str(caught.value)


def test_entities_are_not_expanded(write_frames, tmp_path: Path):
    path = tmp_path / "clip.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>')
    with pytest.raises(InputError, match=r"clip\.xml: not a complete XML file"):
        read_cvat(path, write_frames())


def test_missing_file(write_frames, tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.xml: the file cannot be read"):
        read_cvat(tmp_path / "none.xml", write_frames())


def test_name_of_the_video():
    assert cvat_name(Path("a/clip.xml")) == "clip"
    assert cvat_name(Path("a/annotations.xml")) == "a"
