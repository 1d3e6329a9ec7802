import json

from fgfa.evaluation.results_file import write_results


def test_nan_is_null(tmp_path):
    path = tmp_path / "new" / "results.json"
    write_results(path, {"bbox": {"AP50": 12.5, "AP50-slow": float("nan")}})
    assert json.loads(path.read_text()) == {"bbox": {"AP50": 12.5, "AP50-slow": None}}


def test_nested_results(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, {"models": {"a": {"interval": [float("nan"), 1.5], "boxes": 3}}})
    assert json.loads(path.read_text()) == {"models": {"a": {"interval": [None, 1.5], "boxes": 3}}}
