"""Hostile config files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fgfa.config import load_config
from fgfa.errors import InputError

ROOT = Path(__file__).parents[2]


def test_configs(fuzz, text_changes: Callable) -> None:
    (fuzz.folder / "base.yaml").write_text("MODEL:\n  MASK_ON: False\n")
    text = b"""_BASE_: "base.yaml"
MODEL:
  META_ARCHITECTURE: "FGFA"
  PIXEL_MEAN: [123.15, 115.90, 103.06]
  FGFA: &anchor
    TEST_RADIUS: 4
DATASETS:
  TRAIN: ("a", "b")
SOLVER:
  LR_FACTORS: [[flow_net, 0.1]]
VERSION: 2
"""
    fuzz.run(lambda path: load_config(str(path)), "a.yaml", [text], text_changes, share=0.3)


def test_config_runs_no_code(fuzz) -> None:
    path, touched = fuzz.folder / "a.yaml", fuzz.folder / "touched"
    path.write_text(f"OUTPUT_DIR: !!python/object/apply:os.mkdir ['{touched}']\n")
    with pytest.raises(InputError, match=r"a\.yaml cannot be used"):
        load_config(str(path))
    assert not touched.exists()


@pytest.mark.parametrize(
    "text",
    [
        "A0: &a0 {x: 1}\n"
        + "".join(f"A{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 40)),
        "A: &a [*a]",
        "_BASE_: a.yaml",
        "A: " + "[" * 2000,
        "MODEL: {1: {2: 3}}",
        "- a",
        "",
    ],
    ids=["aliases", "cycle", "own_base", "deep", "numbers", "list", "empty"],
)
def test_odd_configs(text: str, fuzz) -> None:
    path = fuzz.folder / "a.yaml"
    path.write_text(text)
    with fuzz.case(path), pytest.raises(InputError):
        load_config(str(path))
