import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from fgfa.data.builtin import register_own
from fgfa.data.datasets_file import register_datasets_file
from fgfa.errors import InputError

NAMES = ("own_json", "own_folders")


def _nested() -> str:
    """Aliases that stand for 10^12 letters."""
    levels = [f"&a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    return f"[&a0 {'x' * 10}, {', '.join(levels)}]"


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    def write(text: str) -> Path:
        path = tmp_path / "datasets.yaml"
        path.write_text(text)
        return path

    yield write
    for name in NAMES:
        DatasetCatalog.pop(name, None)
        MetadataCatalog.pop(name, None)


def test_both_layouts_are_found_beside_the_file(write, tiny_vid, tmp_path: Path):
    tiny_vid.root = tmp_path / "mine"
    tiny_vid.add_clip("val/a", 0, 2, [("dog", 3, (1, 2, 30, 20))])
    tiny_vid.write_list("VID_val_videos", "val/a 1 0 2")
    image = {"id": 1, "video_id": 1, "frame_id": 0, "file_name": "a.jpg", "height": 1, "width": 1}
    content = {"videos": [{"id": 1}], "images": [image], "annotations": [], "categories": []}
    (tmp_path / "mine" / "train.json").write_text(json.dumps(content))
    text = """
        own_json: {json_file: mine/train.json, image_root: mine/frames}
        own_folders:
            root: mine
            image_set: VID_val_videos
            class_names: [cat, dog]
    """
    assert register_datasets_file(write(text)) == list(NAMES)
    (frame,) = DatasetCatalog.get("own_json")
    assert frame["file_name"] == str(tmp_path / "mine/frames/a.jpg")
    frames = DatasetCatalog.get("own_folders")
    assert [box["category_id"] for frame in frames for box in frame["annotations"]] == [1, 1]
    assert Path(frames[1]["file_name"]).is_file()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[own_json]", "datasets.yaml: it must hold names of data sets"),
        ("own_json: {", "datasets.yaml: not a YAML file"),
        ("own_json: a.json", "datasets.yaml, own_json: it must be a name with keys below it"),
        ("own_json: {json_file: a}", "own_json: missing a required argument: 'image_root'"),
        ("own_json: {image_root: a}", "own_json: missing a required argument: 'root'"),
        (
            "own_json: {json_file: a, root: b}",
            "own_json: missing a required argument: 'image_root'",
        ),
        ("own_json: {json_file: a, image_root: b, c: d}", "unexpected keyword argument 'c'"),
        ("own_json: {json_file: 3, image_root: b}", "key 'json_file' is 3; it must be a path"),
        ("own_json: {root: a, image_set: b, class_names: cat}", "'class_names' must be a list"),
        ("own_json: {root: a, image_set: b, wnids: 5}", "'wnids' must be a list"),
        (
            "own_json: {root: a, image_set: b, subset: VOD}",
            "datasets.yaml: Data set own_json: subset",
        ),
        ("own_json: {json_file: 2026-02-30, image_root: b}", "datasets.yaml: not a YAML file (day"),
        ("own_json: " + "[" * 400, "datasets.yaml: not a YAML file"),
        ("own_json: {json_file: " + _nested() + ", image_root: b}", "it must be a path"),
        ("vid_mini_val: {json_file: a, image_root: b}", "there is a data set of this name"),
    ],
)
def test_wrong_file_registers_nothing(text: str, sentence: str, write, caplog):
    path = write(
        f"own_folders: {{json_file: a, image_root: b}}\n{text}" if text[0] != "[" else text
    )
    with pytest.raises(InputError) as caught:
        register_datasets_file(path)
    assert sentence in str(caught.value)
    assert "own_folders" not in DatasetCatalog
    register_own(path)  # as on import
    assert sentence in caplog.text


def test_no_file_is_no_error(tmp_path: Path, caplog):
    register_own(tmp_path / "datasets.yaml")
    assert not caplog.text
