import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_moving_shapes.py"
main = runpy.run_path(str(SCRIPT))["main"]

SMALL = ["--train-videos", "1", "--val-videos", "1", "--frames", "2", "--size", "40", "60"]


def test_writes_where_output_says(tmp_path):
    main(["--output", str(tmp_path / "data"), *SMALL])
    images = sorted((tmp_path / "data" / "moving_shapes").rglob("*.JPEG"))
    assert [path.name for path in images] == ["000000.JPEG", "000001.JPEG"] * 2


def test_default_output_is_the_datasets_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    main(SMALL)
    assert (tmp_path / "moving_shapes" / "ILSVRC2015").is_dir()
