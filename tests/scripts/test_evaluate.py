import json
import runpy
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fgfa.errors import InputError

SCRIPT = Path(__file__).parents[2] / "scripts" / "evaluate.py"
PROGRAM = runpy.run_path(str(SCRIPT))
main, names_of = PROGRAM["main"], PROGRAM["names_of"]

WNIDS = ["n02691156", "n02419796"]  # airplane, antelope
BOX = (10, 10, 109, 109)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Annotations of one video, without images: an airplane for two frames, then an antelope."""
    folder = tmp_path / "ILSVRC2015"
    for frame, wnid in enumerate([WNIDS[0], WNIDS[0], WNIDS[1]]):
        path = folder / "Annotations" / "VID" / "val" / "clip" / f"{frame:06d}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        corners = "".join(
            f"<{name}>{value}</{name}>"
            for name, value in zip(("xmin", "ymin", "xmax", "ymax"), BOX, strict=True)
        )
        path.write_text(
            "<annotation><size><width>500</width><height>400</height></size><object>"
            f"<trackid>{wnid[1:]}</trackid><name>{wnid}</name><bndbox>{corners}</bndbox>"
            "<occluded>0</occluded></object></annotation>"
        )
    (folder / "ImageSets").mkdir()
    (folder / "ImageSets" / "clips.txt").write_text("val/clip 1 0 3\n")
    return folder


def _predictions(folder: Path, *lines: str) -> str:
    path = folder / f"detections_{len(list(folder.iterdir()))}.txt"
    path.write_text("".join(f"{line} 10 10 109 109\n" for line in lines))
    return str(path)


def _arguments(root: Path, *predictions: str) -> list[str]:
    image_set = str(root / "ImageSets" / "clips.txt")
    return [
        *("--annotations", str(root), "--image-set", image_set),
        *("--predictions", *predictions),
    ]


def test_scores_several_files(root: Path, tmp_path: Path, capsys):
    files = _predictions(tmp_path, "1 1 0.9", "3 1 0.8"), _predictions(tmp_path, "2 1 0.7")
    output = tmp_path / "results.json"
    results = main([*_arguments(root, *files), "--output", str(output)])["bbox"]
    assert results["AP50-airplane"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert results["AP50-antelope"] == 0
    assert results["AP50"] == pytest.approx(100 * (1 + 2 / 3) / 4)
    written = json.loads(output.read_text())["bbox"]
    assert written["AP50"] == results["AP50"]
    assert written["AP50-bear"] is None
    assert "airplane" in capsys.readouterr().out


def test_the_annotations_folder_will_do(root: Path, tmp_path: Path):
    arguments = _arguments(root, _predictions(tmp_path, "1 1 0.9"))
    arguments[1] += "/Annotations"
    assert main(arguments)["bbox"]["AP50-airplane"] == 50


def test_coco_protocol(root: Path, tmp_path: Path):
    predictions = _predictions(tmp_path, "1 1 0.9", "2 1 0.7")
    results = main([*_arguments(root, predictions), "--protocol", "coco"])["bbox"]
    assert results["AP-airplane"] == results["AP50-airplane"] == pytest.approx(100)


def test_seq_nms(root: Path, tmp_path: Path):
    # A false positive in between, which the mean of the airplane's path overtakes.
    predictions = _predictions(tmp_path, "1 1 0.9", "2 1 0.1")
    with open(predictions, "a") as file:
        file.write("2 1 0.3 300 300 350 350\n")
    plain, rescored = (
        main([*_arguments(root, predictions), *option])["bbox"]["AP50-airplane"]
        for option in ([], ["--seq-nms"])
    )
    assert plain == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert rescored == 100


def test_details_of_one_model(root: Path, tmp_path: Path, capsys):
    predictions = _predictions(tmp_path, "1 1 0.9", "2 1 0.8", "3 1 0.7")
    results = main([*_arguments(root, predictions), "--bootstrap", "20"])
    # With N of the class's boxes looked at, two, the third detection is none of the errors.
    assert results["errors"]["all"] == {
        **{"boxes": 3, "correct": 2, "missed": 1},
        **dict.fromkeys(("duplicate", "localization", "confusion", "background"), 0),
    }
    # There is one video, and every sample is that video.
    assert results["AP50_interval"]["AP50"] == [50, 50]
    assert results["AP50_by_size"]["AP50"]["50^2 to 150^2"] == 50
    assert "50.0 [50.0, 50.0]" in capsys.readouterr().out


def test_no_samples_unless_asked_for(root: Path, tmp_path: Path):
    assert "AP50_interval" not in main(_arguments(root, _predictions(tmp_path, "1 1 0.9")))


def test_models_are_compared_with_the_first(root: Path, tmp_path: Path, capsys):
    half, parts = (
        _predictions(tmp_path, "1 1 0.9"),
        [
            _predictions(tmp_path, "1 1 0.9"),
            _predictions(tmp_path, "2 1 0.9"),
        ],
    )
    output, page = tmp_path / "results.json", tmp_path / "page.html"
    arguments = [*_arguments(root, half), "--predictions", *parts, "--names", "half", "both"]
    results = main([*arguments, "--output", str(output), "--html", str(page)])
    assert results["models"]["half"]["bbox"]["AP50-airplane"] == 50
    assert results["models"]["both"]["bbox"]["AP50-airplane"] == 100
    assert results["gains"] == {
        "both": {"AP50": [25] * 3, "AP50-slow": [25] * 3, **_nothing("AP50-medium", "AP50-fast")}
    }
    assert json.loads(output.read_text())["gains"]["both"]["AP50"] == [25, 25, 25]
    assert "| both − half |" in capsys.readouterr().out
    assert "both − half" in page.read_text()
    assert "The images of this video are not here." in page.read_text()


def _nothing(*names: str) -> dict:
    return {name: pytest.approx([float("nan")] * 3, nan_ok=True) for name in names}


def test_files_of_one_model_do_not_share_frames(root: Path, tmp_path: Path):
    files = [_predictions(tmp_path, "1 1 0.9", "2 1 0.9"), _predictions(tmp_path, "2 1 0.8")]
    with pytest.raises(InputError, match="both have detections of frame 2"):
        main(_arguments(root, *files))


def test_coco_protocol_by_model(root: Path, tmp_path: Path):
    half, both = _predictions(tmp_path, "1 1 0.9"), _predictions(tmp_path, "1 1 0.9", "2 1 0.9")
    arguments = [*_arguments(root, half), "--predictions", both, "--protocol", "coco"]
    models = main(arguments)["models"]
    assert models[Path(both).stem]["bbox"]["AP50-airplane"] == pytest.approx(100)
    assert models[Path(half).stem]["bbox"]["AP50-airplane"] < 60


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["x/a.txt", "y/b.txt"], ["a", "b"]),
        (["x/a.txt", "y/a.txt"], ["x", "y"]),
        (["x/a.txt", "y/x/a.txt"], ["x/a.txt", "y/x/a.txt"]),
    ],
)
def test_names_of_models(files, names):
    assert names_of([[file, "more.txt"] for file in files]) == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "coco", "--html", "x"], "--protocol msra"),
        (["--protocol", "coco", "--bootstrap", "5"], "--protocol msra"),
        (["--bootstrap", "-1"], "at least 0"),
        (["--names", "a", "b"], "a name of its own"),
        (["--names", "a", "a", "--predictions", "y"], "a name of its own"),
    ],
)
def test_options_that_do_not_fit(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(["--dataset", "vid_mini_val", "--predictions", "x", *arguments])
    assert message in capsys.readouterr().err


def test_motion_file_that_does_not_fit(root: Path, tmp_path: Path, shared_dir: Path):
    archive = shared_dir / "golden" / "eval_small_files.tar.gz"
    with tarfile.open(archive) as tar:
        tar.extract("motion.mat", tmp_path, filter="data")
    arguments = _arguments(root, _predictions(tmp_path, "1 1 0.9"))
    with pytest.raises(InputError, match=r"has 1 boxes but 3 in the motion IoU file"):
        main([*arguments, "--motion-iou", str(tmp_path / "motion.mat")])


@pytest.mark.parametrize(
    "arguments", [["--annotations", "x"], ["--dataset", "vid_mini_val", "--image-set", "x"], []]
)
def test_incomplete_command_lines(arguments, capsys):
    with pytest.raises(SystemExit):
        main([*arguments, "--predictions", "x"])
    assert "--annotations" in capsys.readouterr().err


def test_unknown_data_set():
    with pytest.raises(InputError, match="no data set is named nowhere"):
        main(["--dataset", "nowhere", "--predictions", "x"])


@pytest.mark.parametrize(("file", "key"), [("det", "ap_stable"), ("det_noties", "ap_noties")])
def test_equals_the_original_on_its_own_files(shared_dir: Path, tmp_path: Path, file, key):
    with tarfile.open(shared_dir / "golden" / "eval_small_files.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    results = main(
        [
            *("--annotations", str(tmp_path), "--image-set", str(tmp_path / "set.txt")),
            *("--motion-iou", str(tmp_path / "motion.mat")),
            *("--predictions", str(tmp_path / f"{file}.txt")),
        ]
    )["bbox"]
    golden = np.load(shared_dir / "golden" / "eval_small.npz")[key][:, 0]
    means = [100 * row[row >= 0].mean() for row in golden]
    names = ["AP50", "AP50-fast", "AP50-medium", "AP50-slow"]
    assert [results[name] for name in names] == pytest.approx(means, abs=1e-7)
    classes = [value for name, value in results.items() if name not in names]
    expected = np.where(golden[0] < 0, np.nan, 100 * golden[0])
    np.testing.assert_allclose(classes, expected, rtol=0, atol=1e-7)


def test_track_ids_are_guessed_on_request(root: Path, tmp_path: Path, caplog):
    # The official track id of both airplanes is their class's; here they have two.
    for path in sorted(root.rglob("*.xml")):
        text = path.read_text()
        path.write_text(text.replace("<trackid>02691156", f"<trackid>{int(path.stem)}"))
    arguments = _arguments(root, _predictions(tmp_path, "1 1 0.9", "2 1 0.8"))
    assert main([*arguments, "--link-tracks"])["bbox"]["AP50-slow"] == 50
    assert "guessed" in caplog.text
    with pytest.raises(SystemExit):
        main([*arguments, "--link-tracks", "--motion-iou", "motion_iou.mat"])
