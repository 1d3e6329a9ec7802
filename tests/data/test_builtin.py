import importlib

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa.data import IMAGENET_VID_CLASSES, builtin
from fgfa.data.moving_shapes import MOVING_SHAPES_CLASSES

NAMES = {
    "imagenet_det_30classes_train",
    "imagenet_vid_train_15frames",
    "imagenet_vid_val",
    "vid_mini_train",
    "vid_mini_val",
    "moving_shapes_train",
    "moving_shapes_val",
}


def register_again():
    for name in NAMES:
        DatasetCatalog.pop(name)
        MetadataCatalog.pop(name)
    importlib.reload(builtin)


@pytest.fixture
def datasets_root(tmp_path, monkeypatch):
    """A folder that DETECTRON2_DATASETS names while the module is imported."""
    with monkeypatch.context() as patch:
        patch.setenv("DETECTRON2_DATASETS", str(tmp_path))
        register_again()
    yield tmp_path
    register_again()


def test_import_registers_all_names():
    assert set(DatasetCatalog.list()) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_classes(name):
    shapes = name.startswith("moving_shapes")
    expected = MOVING_SHAPES_CLASSES if shapes else IMAGENET_VID_CLASSES
    assert MetadataCatalog.get(name).thing_classes == list(expected)


@pytest.mark.parametrize(
    ("name", "folder", "image_set", "subset", "lines", "frames"),
    [
        ("imagenet_det_30classes_train", ".", "DET_train_30classes", "DET", ["v/000000 1"], 1),
        ("imagenet_vid_train_15frames", ".", "VID_train_15frames", "VID", ["v 1 0 2"], 1),
        ("imagenet_vid_val", ".", "VID_val_videos", "VID", ["v 1 0 2"], 2),
        ("vid_mini_train", "vid_mini", "VID_train_stills", "VID", ["v/000000 1"], 1),
        ("vid_mini_val", "vid_mini", "VID_val_clips", "VID", ["v 1 0 2"], 2),
        ("moving_shapes_train", "moving_shapes", "VID_train_keyframes", "VID", ["v 1 0 2"], 1),
        ("moving_shapes_val", "moving_shapes", "VID_val_videos", "VID", ["v 1 0 2"], 2),
    ],
)
def test_files_of_each_name(
    datasets_root, tiny_vid, name, folder, image_set, subset, lines, frames
):
    tiny_vid.root = datasets_root / folder / "ILSVRC2015"
    for stem in ("v/000000", "v/000001"):
        tiny_vid.add_frame(stem, subset=subset)
    tiny_vid.write_list(image_set, *lines)
    found = DatasetCatalog.get(name)
    assert len(found) == frames
    assert found[0]["file_name"] == str(tiny_vid.image_path("v/000000", subset))
