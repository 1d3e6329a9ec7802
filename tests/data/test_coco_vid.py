import copy
import json

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode

from fgfa.data.coco_vid import load_coco_vid, register_coco_vid
from fgfa.data.load_problems import LoadProblems
from fgfa.errors import InputError


def image(identity, video_id, frame_id, file_name):
    return {
        "id": identity,
        "video_id": video_id,
        "frame_id": frame_id,
        "file_name": file_name,
        "height": 40,
        "width": 60,
    }


CONTENT = {
    "videos": [{"id": 7, "name": "b"}, {"id": 3, "name": "a"}],
    "images": [
        image(1, 3, 0, "a/0.jpg"),
        image(2, 7, 30, "b/3.jpg"),
        image(3, 7, 10, "b/1.jpg"),
        image(4, 7, 20, "b/2.jpg"),
    ],
    "categories": [{"id": 9, "name": "shoe"}, {"id": 5, "name": "cup"}],
    "annotations": [
        {"image_id": 4, "category_id": 9, "bbox": [1, 2, 10, 20.5], "instance_id": 6},
        {"image_id": 4, "category_id": 5, "bbox": [0, 0, 5, 5], "iscrowd": 1, "occluded": 1},
    ],
}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "coco.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_frames_in_the_order_of_videos_and_time(write):
    frames, class_names = load_coco_vid(write(CONTENT), "images")
    assert class_names == ["cup", "shoe"]
    assert [frame["image_id"] for frame in frames] == [3, 4, 2, 1]
    assert [frame["frame_index"] for frame in frames] == [0, 1, 2, 0]
    assert [frame["video_length"] for frame in frames] == [3, 3, 3, 1]
    assert frames[0]["video_id"] != frames[3]["video_id"]
    assert list(frames[1]["video_frames"]) == ["images/b/1.jpg", "images/b/2.jpg", "images/b/3.jpg"]
    assert frames[1]["file_name"] == "images/b/2.jpg"
    assert (frames[1]["height"], frames[1]["width"]) == (40, 60)
    assert frames[0]["annotations"] == []


def test_annotations(write):
    frames, _ = load_coco_vid(write(CONTENT), "images")
    mode = BoxMode.XYXY_ABS
    assert frames[1]["annotations"] == [
        {"bbox": [1.0, 2.0, 11.0, 22.5], "bbox_mode": mode, "category_id": 1, "track_id": 6},
        {
            "bbox": [0.0, 0.0, 5.0, 5.0],
            "bbox_mode": mode,
            "category_id": 0,
            "occluded": 1,
            "iscrowd": 1,
        },
    ]


def test_registration(write, dataset_name):
    register_coco_vid(dataset_name, write(CONTENT), "images")
    assert len(DatasetCatalog.get(dataset_name)) == 4
    metadata = MetadataCatalog.get(dataset_name)
    assert metadata.thing_classes == ["cup", "shoe"]
    assert metadata.evaluator_type == "imagenet_vid"


DELETED = object()


@pytest.mark.parametrize(
    ("keys", "value", "problem"),
    [
        (["videos"], DELETED, "json: key 'videos' is missing; it must be a list"),
        (["images"], {}, "json: key 'images' is {}; it must be a list"),
        (["images", 1], 5, r"images\[1\]: 5 stands where an object"),
        (["images", 1, "frame_id"], DELETED, r"images\[1\]: key 'frame_id' is missing"),
        (["images", 1, "file_name"], 5, r"images\[1\]: key 'file_name' is 5; .* a string"),
        (["images", 1, "height"], "a", r"images\[1\]: key 'height' is 'a'; .* whole number"),
        (["images", 1, "video_id"], 8, r"images\[1\]: key 'video_id' is 8; .* 'id' of one of"),
        (["images", 1, "id"], 1, "4 frames with 3 different values of 'id'"),
        (["categories", 0, "id"], True, r"categories\[0\]: key 'id' is True"),
        (["categories", 0, "name"], DELETED, r"categories\[0\]: key 'name' is missing"),
        (["annotations", 1, "image_id"], 99, r"annotations\[1\]: key 'image_id' is 99"),
        (
            ["categories", 1, "id"],
            9,
            r"'categories' is .*; it must be a list whose 'id's all differ",
        ),
        (["annotations", 1, "category_id"], 1, r"annotations\[1\]: key 'category_id' is 1"),
        (["annotations", 1, "instance_id"], "x", r"annotations\[1\]: key 'instance_id' is 'x'"),
        (["annotations", 1, "bbox"], DELETED, r"annotations\[1\]: key 'bbox' is missing"),
        (["annotations", 1, "bbox"], [1, 2, 3], r"annotations\[1\]: key 'bbox' .* four numbers"),
        (["annotations", 1, "bbox"], [1, 2, 3, "x"], "key 'bbox' .* four numbers"),
        (["annotations", 1, "bbox"], [1, 2, 3, -1], "key 'bbox' .* width and height of 0 or more"),
    ],
)
def test_malformed_content_is_named(write, keys, value, problem):
    content = copy.deepcopy(CONTENT)
    parent = content
    for key in keys[:-1]:
        parent = parent[key]
    if value is DELETED:
        del parent[keys[-1]]
    else:
        parent[keys[-1]] = value
    with pytest.raises(InputError, match=problem):
        load_coco_vid(write(content), "images")


def test_image_that_is_wrong_is_left_out_where_that_is_tolerated(write, dataset_name):
    content = copy.deepcopy(CONTENT)
    content["images"][1]["file_name"] = "../a.jpg"
    content["images"][2]["height"] = 0
    register_coco_vid(dataset_name, write(content), "images")
    problems = LoadProblems()
    frames = DatasetCatalog[dataset_name](problems=problems)
    assert len(frames) == len(CONTENT["images"]) - 2
    assert "images[1]: key 'file_name' is '../a.jpg'" in problems.sentences[0]
    assert "images[2]: key 'height' is 0" in problems.sentences[1]


def test_no_frames(write):
    with pytest.raises(InputError, match="'images' has 0 frames"):
        load_coco_vid(write({**CONTENT, "images": [], "annotations": []}), "images")


@pytest.mark.parametrize(
    ("text", "problem"),
    [('{"videos": [', "not a complete JSON file"), ("[]", r"\[\] stands where an object")],
)
def test_file_of_another_kind(write, text, problem):
    with pytest.raises(InputError, match=problem):
        load_coco_vid(write(text), "images")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"absent\.json: the file cannot be read"):
        load_coco_vid(tmp_path / "absent.json", "images")
