"""Hostile annotations and lists of data sets."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fgfa.data.annotation_xml import read_annotation
from fgfa.data.coco_vid import load_coco_vid
from fgfa.data.image_set import read_image_set
from fgfa.data.imagenet_vid import load_imagenet_vid
from fgfa.data.video_frames import VideoFrames
from fgfa.errors import InputError
from fgfa.evaluation.msra_protocol import MsraProtocol

XML = b"""<annotation><folder>v</folder><filename>000000</filename>
<source><database>ILSVRC_2015</database></source>
<size><width>64</width><height>48</height></size>
<object><trackid>0</trackid><name>cat</name>
<bndbox><xmax>30</xmax><xmin>4</xmin><ymax>20</ymax><ymin>5.5</ymin></bndbox>
<occluded>0</occluded><generated>1</generated></object>
<object><trackid>7</trackid><name>dog</name>
<bndbox><xmax>60</xmax><xmin>14</xmin><ymax>47</ymax><ymin>0</ymin></bndbox></object>
</annotation>
"""
BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d SYSTEM "file:///etc/passwd">]>
<annotation><size><width>64</width><height>48</height></size></annotation>"""
COCO = {
    "videos": [{"id": 7, "name": "b"}, {"id": 3, "name": "a"}],
    "images": [
        {
            **{"id": 10 * video + frame, "video_id": video, "frame_id": frame},
            **{"file_name": f"{video}/{frame}.jpg", "height": 48, "width": 64},
        }
        for video in (3, 7)
        for frame in range(3)
    ],
    "categories": [{"id": 9, "name": "shoe"}, {"id": 5, "name": "cup"}],
    "annotations": [
        {"image_id": 31, "category_id": 9, "bbox": [1, 2, 10, 20.5], "instance_id": 6},
        {"image_id": 32, "category_id": 9, "bbox": [2, 2, 10, 20.5], "instance_id": 6},
        {"image_id": 70, "category_id": 5, "bbox": [0, 0, 5, 5], "iscrowd": 1, "occluded": 1},
    ],
}
LISTS = [
    b"v 1 0 3\nw 4 0 2\n",
    b"v/000000 1\nw/000001 2\n",
    b"v 1 0 3\nv 1 2 3\nw 1 1 2\n",
    b"v 1 0 1\nv 2 1 2\n",
]


def use(frames: list[dict]) -> None:
    """What evaluation makes of a data set."""
    classes = ["first", "second"]
    MsraProtocol([frame for frame in frames if len(frame["annotations"]) < 99], classes)


def read_xml(path: Path) -> None:
    annotation = read_annotation(str(path), {"cat": 0, "dog": 1})
    frame = {"image_id": 1, "file_name": str(path), "video_id": "v", "frame_index": 0}
    use([{**frame, "annotations": annotation.objects}])


def test_xml(fuzz, text_changes: Callable) -> None:
    fuzz.run(read_xml, "a.xml", [XML], text_changes, share=2)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "rot13", "none", "cp037", "utf-7"])
def test_xml_of_an_encoding(encoding: str, fuzz) -> None:
    path = fuzz.folder / "a.xml"
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + XML)
    with fuzz.case(path):
        read_xml(path)


@pytest.mark.parametrize("content", [BOMB, b"<a>" * 50_000, XML * 2, b"", b"<a " + b"b" * 10**6])
def test_odd_xml(content: bytes, fuzz) -> None:
    path = fuzz.folder / "a.xml"
    path.write_bytes(content)
    with fuzz.case(path):
        read_xml(path)


def read_json(path: Path) -> None:
    frames, _ = load_coco_vid(path, path.parent / "images")
    use(frames)
    root = f"{path.parent}/images/"
    for frame in frames:
        for name in (frame["file_name"], *frame["video_frames"]):
            assert name.startswith(root) and ".." not in name, f"{name} lies outside"


def test_coco_vid(fuzz, text_changes: Callable) -> None:
    fuzz.run(read_json, "coco.json", [json.dumps(COCO, indent=0).encode()], text_changes, share=2)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["../a.jpg", "/a.jpg", "a/../../b.jpg", "", ".", "a\0b", "http://a/b"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def places(value: object) -> list[tuple]:
    """The keys to all values inside of a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        place
        for key, inner in items
        for place in [(key,), *((key, *rest) for rest in _inner_places(inner))]
    ]


def _inner_places(value: object) -> list[tuple]:
    return places(value) if isinstance(value, dict | list) else []


def test_coco_vid_of_other_values(fuzz) -> None:
    path = fuzz.folder / "coco.json"

    @settings(
        max_examples=fuzz.cases,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(st.sampled_from(places(COCO)), json_values), min_size=1, max_size=3))
    def check(changes: list[tuple[tuple, object]]) -> None:
        content = json.loads(json.dumps(COCO))
        for place, value in changes:
            parent = content
            with contextlib.suppress(IndexError, KeyError, TypeError):  # an earlier change
                for key in place[:-1]:
                    parent = parent[key]
                parent[place[-1]] = value
        path.write_text(json.dumps(content))
        with fuzz.case(path):
            read_json(path)

    check()


@pytest.fixture
def root(fuzz) -> Path:
    """A data set that lies in fuzz.folder, and beside it a frame that it must not reach."""
    for stem in ("set/Annotations/VID/v/{}", "set/Annotations/VID/w/{}", "outside/{}"):
        for name in ("000000", "000001", "000002", "a"):
            path = fuzz.folder / f"{stem.format(name)}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(XML)
    (fuzz.folder / "set/ImageSets").mkdir()
    return fuzz.folder / "set"


def test_lists(fuzz, root: Path, text_changes: Callable) -> None:
    def read(path: Path) -> None:
        for clip in read_image_set(path):
            assert not Path(clip.stems[clip.listed[0]]).is_absolute()
            assert ".." not in Path(clip.stems[clip.listed[0]]).parts
            np.array(clip.first_image_id + len(clip.listed), np.int64)

    fuzz.run(read, "list.txt", LISTS, text_changes, share=2)


def test_data_sets(fuzz, root: Path, text_changes: Callable) -> None:
    def read(path: Path) -> None:
        frames = load_imagenet_vid(root, path, {"cat": 0, "dog": 1})
        use(frames)
        for frame in frames:
            assert frame["file_name"].startswith(f"{root}/Data/") and ".." not in frame["file_name"]

    fuzz.run(read, "list.txt", LISTS, text_changes, names=root.parent)


OUT = ["../outside/000000", "/outside/000000", "v/../../outside/a", "..", ".", "a\0b"]


@pytest.mark.parametrize("name", OUT)
def test_no_list_leads_out_of_the_data_set(name: str, root: Path) -> None:
    path = root / "ImageSets/list.txt"
    path.write_text(f"v 1 0 3\n{name} 4 0 1\n")
    with pytest.raises(InputError, match=r"list\.txt, line 2: the path .* leads out"):
        load_imagenet_vid(root, path, {"cat": 0})


@pytest.mark.parametrize("name", [*OUT, "\ud800.jpg", "a/" + "1" * 5000 + "/../../b.jpg"])
def test_no_file_name_leads_out_of_the_images(name: str, fuzz) -> None:
    path = fuzz.folder / "coco.json"
    images = [{**image, "file_name": name} for image in COCO["images"]]
    path.write_text(json.dumps({**COCO, "images": images}))
    with pytest.raises(InputError, match=r"images\[0\]: key 'file_name' .* stays in the folder"):
        load_coco_vid(path, fuzz.folder)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("annotations", 0, "bbox"), "1234"),
        (("annotations", 0, "bbox"), [1e308, 0, 1e308, 1]),
        (("annotations", 0, "bbox"), [10**400, 0, 1, 1]),
        (("annotations", 0, "instance_id"), 10**30),
        (("images", 0, "height"), 0),
        (("images", 0, "id"), 1 << 63),
    ],
)
def test_odd_values_of_coco_vid(keys: tuple, value: object, fuzz) -> None:
    path, content = fuzz.folder / "coco.json", json.loads(json.dumps(COCO))
    content[keys[0]][keys[1]][keys[2]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"{keys[0]}\[0\]: key '{keys[2]}'"):
        load_coco_vid(path, fuzz.folder)


def test_deep_json(fuzz) -> None:
    path = fuzz.folder / "coco.json"
    path.write_text("[" * 200_000)
    with fuzz.case(path), pytest.raises(InputError, match="not a complete JSON file"):
        load_coco_vid(path, fuzz.folder)


def test_name_of_many_digits() -> None:
    name = "1" * 5000
    assert list(VideoFrames.from_names([name, f"{name}2"])) == [name, f"{name}2"]


def test_list_of_more_frames_than_there_are(fuzz, root: Path) -> None:
    path = root / "ImageSets/list.txt"
    path.write_text("v 1 0 999999999999999\n")
    with fuzz.case(root), pytest.raises(InputError, match=r"v/000003\.xml: .* cannot be read"):
        load_imagenet_vid(root, path, {"cat": 0})
