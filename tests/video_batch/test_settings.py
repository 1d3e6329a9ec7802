"""One folder has results of one setting, and of one run at a time."""

from pathlib import Path

import pytest
from detectron2.config import CfgNode

from fgfa.errors import InputError
from fgfa.video_batch.settings import claim_for, fingerprint, only_run, settings_of


@pytest.fixture
def cfg(tiny_cfg: CfgNode, tmp_path: Path) -> CfgNode:
    (tmp_path / "model.pth").write_bytes(b"weights")
    tiny_cfg.MODEL.WEIGHTS = str(tmp_path / "model.pth")
    return tiny_cfg


def same_as_before(before: CfgNode, after: CfgNode) -> bool:
    settings = [settings_of(cfg, ["cat"]) for cfg in (before, after)]
    assert (fingerprint(settings[0]) == fingerprint(settings[1])) == (settings[0] == settings[1])
    return settings[0] == settings[1]


@pytest.mark.parametrize(
    ("key", "value", "is_same"),
    [
        ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.7, False),
        ("MODEL.FGFA.TEST_RADIUS", 1, False),
        ("INPUT.MIN_SIZE_TEST", 99, False),
        ("TEST.DETECTIONS_PER_IMAGE", 9, False),
        ("MODEL.DEVICE", "cuda", True),
        ("TEST.FRAMES_PER_BATCH", 3, True),
        ("SOLVER.BASE_LR", 3.0, True),
        ("OUTPUT_DIR", "elsewhere", True),
    ],
)
def test_settings_are_what_detections_depend_on(key: str, value, is_same: bool, cfg: CfgNode):
    changed = cfg.clone()
    changed.merge_from_list([key, value])
    assert same_as_before(cfg, changed) == is_same


@pytest.mark.parametrize("key", ["MODEL.WEIGHTS", "MODEL.FLOW_NET.WEIGHTS"])
def test_weights_are_told_by_their_content(key: str, cfg: CfgNode, tmp_path: Path):
    same, others = cfg.clone(), cfg.clone()
    for name, content, changed in (("a", b"weights", same), ("b", b"others", others)):
        (tmp_path / name).write_bytes(content)
        changed.merge_from_list([key, str(tmp_path / name)])
    cfg.merge_from_list([key, str(tmp_path / "model.pth")])
    assert same_as_before(cfg, same)
    assert not same_as_before(cfg, others)


def test_class_names_count(cfg: CfgNode):
    assert settings_of(cfg, ["cat"]) != settings_of(cfg, ["dog"])


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "MODEL.WEIGHTS is empty"), ("missing.pth", r"missing\.pth \(MODEL\.WEIGHTS\) cannot be")],
)
def test_missing_weights_are_one_sentence(path: str, message: str, cfg: CfgNode):
    cfg.MODEL.WEIGHTS = path
    with pytest.raises(InputError, match=message):
        settings_of(cfg, [])


def test_a_folder_keeps_to_its_settings(tmp_path: Path):
    claim_for(tmp_path, {"a": 1, "b": [1, 2]}, overwrite=False)
    claim_for(tmp_path, {"b": [1, 2], "a": 1}, overwrite=False)
    with pytest.raises(InputError, match=r"a is 1 there and 2 here, c is unset there and 3 here\)"):
        claim_for(tmp_path, {"a": 2, "b": [1, 2], "c": 3}, overwrite=False)
    with pytest.raises(
        InputError, match=r"and 1 more\); write to another folder, or give --overwr"
    ):
        claim_for(tmp_path, {"a": 2, "c": 3, "d": 4}, overwrite=False)
    claim_for(tmp_path, {"a": 2}, overwrite=True)
    claim_for(tmp_path, {"a": 2}, overwrite=False)


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_broken_settings_are_one_sentence(text: str, tmp_path: Path):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(InputError, match=r"settings\.json is broken"):
        claim_for(tmp_path, {}, overwrite=False)


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "new"):
        with pytest.raises(InputError, match=r"cannot be written: (File|Not)"), only_run(path):
            pass


def test_a_second_run_is_refused_while_the_first_is_at_work(tmp_path: Path):
    with only_run(tmp_path / "new"):
        with (
            pytest.raises(InputError, match=r"another run is writing to .*new"),
            only_run(tmp_path / "new"),
        ):
            pass
        with only_run(tmp_path / "other"):
            pass
    with only_run(tmp_path / "new"):
        pass
