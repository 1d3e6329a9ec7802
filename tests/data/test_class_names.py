import json

from detectron2.data import MetadataCatalog

from fgfa.data.class_names import find_class_names
from fgfa.data.coco_vid import register_coco_vid


def test_classes_are_those_of_the_first_test_set(cfg, dataset_name):
    MetadataCatalog.get(dataset_name).thing_classes = ["cat", "dog"]
    cfg.DATASETS.TEST = (dataset_name, "imagenet_vid_val")
    assert find_class_names(cfg) == ["cat", "dog"]


def test_a_test_set_that_is_not_registered_here_has_no_names(cfg, dataset_name):
    for names in ((), (dataset_name,)):
        cfg.DATASETS.TEST = names
        assert len(find_class_names(cfg)) == 0


def test_classes_of_coco_vid_json_are_read_from_the_file(cfg, dataset_name, tmp_path):
    path = tmp_path / "mine.json"
    register_coco_vid(dataset_name, path, tmp_path)
    cfg.DATASETS.TEST = (dataset_name,)
    assert len(find_class_names(cfg)) == 0
    image = {"id": 1, "video_id": 1, "frame_id": 0, "file_name": "a", "height": 1, "width": 1}
    content = {"videos": [{"id": 1}], "images": [image], "annotations": []}
    path.write_text(json.dumps({**content, "categories": [{"id": 1, "name": "cat"}]}))
    assert find_class_names(cfg) == ["cat"]
