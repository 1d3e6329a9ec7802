import runpy
from pathlib import Path

import pytest

from fgfa.errors import InputError

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_image_sets.py"
main = runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split, length in (("train", 4), ("val", 2)):
        folder = tmp_path / "Data" / "VID" / split / "a"
        folder.mkdir(parents=True)
        for index in range(length):
            (folder / f"{index:06d}.JPEG").touch()
    return tmp_path


def test_lists_of_each_split(root: Path, capsys):
    main([str(root), "--key-frames", "2"])
    texts = {path.name: path.read_text() for path in (root / "ImageSets").iterdir()}
    assert texts == {
        "VID_train_2frames.txt": "train/a 1 1 4\ntrain/a 1 3 4\n",
        "VID_train_videos.txt": "train/a 1 0 4\n",
        "VID_train_frames.txt": "".join(f"train/a/00000{i} {i + 1}\n" for i in range(4)),
        "VID_val_2frames.txt": "val/a 1 0 2\nval/a 1 1 2\n",
        "VID_val_videos.txt": "val/a 1 0 2\n",
        "VID_val_frames.txt": "val/a/000000 1\nval/a/000001 2\n",
    }
    assert "VID_train_2frames.txt: 2 lines, 1 videos" in capsys.readouterr().out


def test_a_list_with_other_content_is_kept(root: Path):
    arguments = [str(root), "--splits", "val", "--lists", "videos"]
    main(arguments)
    main(arguments)  # the same again
    path = root / "ImageSets" / "VID_val_videos.txt"
    path.write_text("official\n")
    with pytest.raises(InputError, match=r"VID_val_videos\.txt is another list; remove it"):
        main(arguments)
    assert path.read_text() == "official\n"
    main([*arguments, "--output", str(root / "lists")])
    assert [path.name for path in (root / "lists").iterdir()] == ["VID_val_videos.txt"]


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [([], r"Data/VID: there is no folder in it"), (["test"], r"Data/VID/test: .* cannot be read")],
)
def test_no_splits(splits: list[str], sentence: str, tmp_path: Path):
    (tmp_path / "Data" / "VID").mkdir(parents=True)
    with pytest.raises(InputError, match=sentence):
        main([str(tmp_path), *(["--splits", *splits] if splits else [])])


def test_wrong_root(tmp_path: Path):
    with pytest.raises(InputError, match=r"Data/VID: there is no such folder"):
        main([str(tmp_path)])
