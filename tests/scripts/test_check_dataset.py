import json
import runpy
from pathlib import Path

import pytest
from PIL import Image

from fgfa.data.coco_vid import register_coco_vid
from fgfa.data.imagenet_vid import register_imagenet_vid
from fgfa.errors import InputError

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_dataset.py"
main = runpy.run_path(str(SCRIPT))["main"]


def findings(path: Path) -> dict[str, list[str]]:
    report = json.loads(path.read_text())
    assert report["wrong"] == any(finding["wrong"] for finding in report["findings"])
    return {finding["kind"]: finding["places"] for finding in report["findings"]}


@pytest.fixture
def coco_vid(dataset_name: str, tmp_path: Path) -> dict:
    """The content of `mine.json`, which is registered: a video of 3 frames with a moving cat."""
    images = [
        {"id": i + 1, "video_id": 1, "frame_id": i, "file_name": f"{i}.png", "height": 40}
        | {"width": 60}
        for i in range(3)
    ]
    for image in images:
        Image.new("RGB", (60, 40)).save(tmp_path / image["file_name"])
    boxes = [
        {"image_id": i + 1, "category_id": 1, "bbox": [i, 5, 10, 10], "instance_id": 7}
        for i in range(3)
    ]
    register_coco_vid(dataset_name, tmp_path / "mine.json", tmp_path)
    return {
        "videos": [{"id": 1}],
        "images": images,
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": boxes,
    }


def check(content: dict, tmp_path: Path, name: str, *arguments: str) -> int:
    (tmp_path / "mine.json").write_text(json.dumps(content))
    return main(["--dataset", name, "--output", str(tmp_path / "out.json"), *arguments])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_good_data_set(suffix: str, coco_vid, dataset_name, tmp_path: Path, capsys):
    picture = tmp_path / f"check.{suffix}"
    assert check(coco_vid, tmp_path, dataset_name, "--picture", str(picture)) == 0
    assert findings(tmp_path / "out.json") == {}
    with Image.open(picture) as image:
        image.load()
        assert image.width > 500
    text = capsys.readouterr().out
    assert "1 videos, 3 frames (0 without boxes), 3 boxes, 1 tracks" in text
    assert "nothing is wrong or odd" in text
    assert "| cat     |       3 |        1 |        1 |" in text
    assert "speed of objects by motion IoU: 0 slow, 3 medium, 0 fast boxes" in text
    report = json.loads((tmp_path / "out.json").read_text())
    assert sum(report["motion_iou"]["counts"]) == report["motion_iou"]["medium"] == 3
    assert len(report["motion_iou"]["edges"]) == len(report["motion_iou"]["counts"]) + 1


def test_odd_is_not_wrong(coco_vid, dataset_name, tmp_path: Path, capsys):
    coco_vid["annotations"][2]["bbox"] = [30, 5, 10, 10]
    assert check(coco_vid, tmp_path, dataset_name) == 0
    assert list(findings(tmp_path / "out.json")) == ["jump"]
    assert "| odd | tracks that jump" in capsys.readouterr().out
    assert check(coco_vid, tmp_path, dataset_name, "--jump", "3") == 0
    assert findings(tmp_path / "out.json") == {}


def test_everything_that_is_wrong_is_reported(coco_vid, dataset_name, tmp_path: Path, capsys):
    coco_vid["annotations"][0]["bbox"] = [0, 5, -10, 10]
    coco_vid["annotations"][1]["category_id"] = 2
    coco_vid["images"].append({**coco_vid["images"][0], "id": 9, "height": "40"})
    (tmp_path / "0.png").unlink()
    (tmp_path / "1.png").write_bytes(b"\x89PNG")
    assert check(coco_vid, tmp_path, dataset_name) == 3
    found = findings(tmp_path / "out.json")
    assert [sentence.split("mine.json, ")[1] for sentence in found["unreadable_annotation"]] == [
        "images[3]: key 'height' is '40'; it must be a whole number.",
        "annotations[0]: key 'bbox' is [0, 5, -10, 10]; "
        "it must be finite, with a width and height of 0 or more.",
        "annotations[1]: key 'category_id' is 2; "
        "it must be the 'id' of one of the file's category entries.",
    ]
    assert found["missing_image"] == [str(tmp_path / "0.png")]
    (sentence,) = found["unusable_image"]
    assert sentence.startswith(f"{tmp_path / '1.png'}: the image cannot be read")
    assert "| wrong | annotations that cannot be read" in capsys.readouterr().out
    assert check(coco_vid, tmp_path, dataset_name, "--images", "find") == 3
    assert "unusable_image" not in findings(tmp_path / "out.json")


def test_imagenet_vid_layout(dataset_name, tmp_path: Path):
    annotations = tmp_path / "Annotations/VID/val/a"
    annotations.mkdir(parents=True)
    size = "<size><width>60</width><height>40</height></size>"
    corners = "<xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>{}"
    item = f"<object><name>{{}}</name><bndbox>{corners}</bndbox></object>"
    good, bad = item.format("cat", "<ymax>9</ymax>"), item.format("cat", "<ymax>0</ymax>")
    other = item.format("zebra", "<ymax>9</ymax>")
    for index, text in enumerate([good + bad + other, "<annotation>"]):
        end = "</annotation>" if index == 0 else ""
        (annotations / f"{index:06d}.xml").write_text(f"<annotation>{size}{text}{end}")
    lists = tmp_path / "ImageSets"
    lists.mkdir()
    (lists / "val.txt").write_text("val/a 1 0 3\n")
    register_imagenet_vid(dataset_name, tmp_path, "val", class_names=["cat"])
    arguments = ["--dataset", dataset_name, "--images", "skip"]
    assert main([*arguments, "--output", str(tmp_path / "out.json")]) == 3
    found = findings(tmp_path / "out.json")
    assert list(found) == ["unreadable_annotation", "unknown_class", "no_track"]
    box, xml, missing = found["unreadable_annotation"]
    assert "000000.xml, object 2: box 1, 1, 9, 0" in box
    assert "000001.xml: not a complete XML file" in xml
    assert "000002.xml: the annotation file cannot be read" in missing
    assert found["unknown_class"] == ["zebra, 1 objects"]


def test_what_cannot_be_checked(coco_vid, dataset_name, tmp_path: Path):
    with pytest.raises(InputError, match=r"mine\.json: the file cannot be read"):
        main(["--dataset", dataset_name])
    with pytest.raises(InputError, match=r"no data set is named none: name it in the datasets"):
        main(["--dataset", "none"])
    with pytest.raises(InputError, match=r"coco_2017_val is none of videos"):
        main(["--dataset", "coco_2017_val"])
    with pytest.raises(InputError, match=r"cannot draw check\.txt"):
        main(["--dataset", dataset_name, "--picture", "check.txt"])
