import logging
import shutil

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

from fgfa.data.imagenet_vid import (
    IMAGENET_VID_CLASSES,
    IMAGENET_VID_WNIDS,
    load_imagenet_vid,
    register_imagenet_vid,
)
from fgfa.errors import InputError

DOG, CAR = "n02084071", "n02958343"
CATEGORIES = {DOG: 0, CAR: 1}
BOX = (1.0, 2.0, 30.0, 20.0)


def test_classes_in_the_official_order():
    assert list(IMAGENET_VID_CLASSES) == sorted(IMAGENET_VID_CLASSES)
    assert len(set(IMAGENET_VID_WNIDS)) == 30
    wnid_of = dict(zip(IMAGENET_VID_CLASSES, IMAGENET_VID_WNIDS, strict=True))
    assert wnid_of["dog"] == DOG
    assert wnid_of["zebra"] == "n02391049"


def test_frames_of_a_video_list(tiny_vid):
    tiny_vid.add_clip("val/a", 5, 3, [(CAR, 2, BOX)])
    tiny_vid.write_list("val", "val/a 11 5 3")
    frames = load_imagenet_vid(tiny_vid.root, "val", CATEGORIES)
    assert [frame["image_id"] for frame in frames] == [11, 12, 13]
    assert [frame["frame_index"] for frame in frames] == [0, 1, 2]
    last = frames[-1]
    assert last["file_name"] == str(tiny_vid.image_path("val/a/000007"))
    assert list(last["video_frames"]) == [frame["file_name"] for frame in frames]
    assert (last["video_id"], last["video_length"]) == ("val/a", 3)
    assert (last["height"], last["width"]) == (40, 60)
    assert last["annotations"] == [
        {
            "bbox": list(BOX),
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": 1,
            "track_id": 2,
            "occluded": 0,
        }
    ]


def test_key_frame_sees_its_whole_video(tiny_vid):
    tiny_vid.add_frame("train/a/000010", [(DOG, 0, BOX)])
    path = tiny_vid.write_list("train", "train/a 1 10 300")
    (frame,) = load_imagenet_vid(tiny_vid.root, path, CATEGORIES, key_frames=True)
    assert (frame["frame_index"], frame["video_length"]) == (10, 300)
    assert frame["file_name"] == str(tiny_vid.image_path("train/a/000010"))
    assert frame["video_frames"][299] == str(tiny_vid.image_path("train/a/000299"))


@pytest.mark.parametrize("subset", ["VID", "DET"])
def test_subset_is_where_the_annotations_are(tiny_vid, subset):
    stem = "train/ILSVRC2013_train/n02391049/n02391049_9965"
    tiny_vid.add_frame(stem, [(DOG, 0, BOX)], subset=subset)
    tiny_vid.write_list("stills", f"{stem} 1")
    (frame,) = load_imagenet_vid(tiny_vid.root, "stills.txt", CATEGORIES)
    assert frame["file_name"] == str(tiny_vid.image_path(stem, subset))
    assert frame["video_length"] == 1
    assert frame["video_frames"][0] == frame["file_name"]


def test_subset_can_be_given(tiny_vid):
    for subset in ("VID", "DET"):
        tiny_vid.add_frame("a", subset=subset)
    tiny_vid.write_list("stills", "a 1")
    (frame,) = load_imagenet_vid(tiny_vid.root, "stills", CATEGORIES, subset="DET")
    assert frame["file_name"] == str(tiny_vid.image_path("a", "DET"))


def test_images_may_be_absent(tiny_vid):
    tiny_vid.add_clip("val/a", 0, 2)
    shutil.rmtree(tiny_vid.root / "Data")
    tiny_vid.write_list("val", "val/a 1 0 2")
    assert len(load_imagenet_vid(tiny_vid.root, "val", CATEGORIES)) == 2


def test_missing_annotation_is_named(tiny_vid):
    tiny_vid.add_clip("val/a", 0, 2)
    tiny_vid.write_list("val", "val/a 1 0 3")
    with pytest.raises(InputError, match=r"val/a/000002\.xml: the annotation file cannot be read"):
        load_imagenet_vid(tiny_vid.root, "val", CATEGORIES)


def test_missing_list_names_the_folder(tiny_vid):
    with pytest.raises(InputError, match=r"List file 'val' is neither in .*ImageSets"):
        load_imagenet_vid(tiny_vid.root, "val", CATEGORIES)


def test_warning_where_no_object_is_of_the_classes(tiny_vid, caplog):
    tiny_vid.add_clip("val/a", 0, 2, [("shoe", 0, BOX)])
    tiny_vid.write_list("val", "val/a 1 0 2")
    with caplog.at_level(logging.WARNING, logger="fgfa"):
        load_imagenet_vid(tiny_vid.root, "val", CATEGORIES)
    assert "the files have shoe" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "xml_name", "category", "class_names"),
    [
        ({}, CAR, 6, list(IMAGENET_VID_CLASSES)),
        ({"class_names": ["cup", "shoe"]}, "shoe", 1, ["cup", "shoe"]),
        ({"class_names": ["auto", "hund"], "wnids": [CAR, DOG]}, CAR, 0, ["auto", "hund"]),
    ],
    ids=["ImageNet VID", "own names", "own names of wnids"],
)
def test_registration(tiny_vid, dataset_name, arguments, xml_name, category, class_names):
    tiny_vid.add_clip("val/a", 0, 1, [(xml_name, 0, BOX)])
    register_imagenet_vid(dataset_name, tiny_vid.root, "val", **arguments)
    tiny_vid.write_list("val", "val/a 1 0 1")  # the list is read on first use only
    (frame,) = DatasetCatalog.get(dataset_name)
    assert frame["annotations"][0]["category_id"] == category
    metadata = MetadataCatalog.get(dataset_name)
    assert metadata.thing_classes == class_names
    assert metadata.evaluator_type == "imagenet_vid"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"class_names": ["a", "b"], "wnids": ["n1"]}, "2 class_names and 1 different wnids"),
        ({"class_names": ["a", "a"]}, "2 class_names and 1 different wnids"),
        ({"subset": "CLS"}, "subset 'CLS' is neither"),
    ],
)
def test_registration_with_wrong_arguments(tiny_vid, dataset_name, arguments, problem):
    with pytest.raises(InputError, match=problem):
        register_imagenet_vid(dataset_name, tiny_vid.root, "val", **arguments)


def test_vid_mini(shared_dir):
    categories = {wnid: index for index, wnid in enumerate(IMAGENET_VID_WNIDS)}
    root = shared_dir / "vid_mini" / "ILSVRC2015"
    train = load_imagenet_vid(root, "VID_train_stills", categories)
    assert len(train) == 1000
    assert {a["category_id"] for frame in train for a in frame["annotations"]} == set(range(30))

    val = load_imagenet_vid(root, "VID_val_clips", categories)
    assert len({frame["image_id"] for frame in val}) == 1600
    assert len({frame["video_id"] for frame in val}) == 16
    frame = val[150]
    assert frame["file_name"].endswith("Data/VID/val/ILSVRC2015_val_00000001/000414.JPEG")
    assert (frame["image_id"], frame["frame_index"]) == (829 + 50, 50)
