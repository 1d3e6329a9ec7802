import json
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa.data import register_coco_vid  # registers the built-in data sets, too
from fgfa.errors import InputError
from fgfa.evaluation.registered_dataset import category_ids, registered_dataset


def test_unknown_name_lists_video_data_sets():
    with pytest.raises(InputError, match=r"named nowhere.*vid_mini_val") as error:
        registered_dataset("nowhere")
    assert "coco_2017" not in str(error.value)


def test_category_ids_of_a_coco_vid_data_set(tmp_path: Path):
    categories = [{"id": 9, "name": "shoe"}, {"id": 5, "name": "cup"}]
    image = {"id": 1, "video_id": 1, "frame_id": 0, "file_name": "a", "height": 4, "width": 4}
    content = {"videos": [{"id": 1}], "images": [image], "annotations": []}
    (tmp_path / "a.json").write_text(json.dumps({**content, "categories": categories}))
    name = "data_set_of_a_test"
    register_coco_vid(name, tmp_path / "a.json", tmp_path)
    try:
        assert registered_dataset(name)[1] == ["cup", "shoe"]
        assert category_ids(name) == [5, 9]
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def test_category_ids_of_another_data_set():
    assert category_ids("vid_mini_val") is None
