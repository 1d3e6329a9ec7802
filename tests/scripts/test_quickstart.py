"""What the quickstart's scripts say to a wrong command line, before they set anything up."""

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.mp4"], "the video none.mp4 does not exist"),
        (["."], "the video . does not exist"),
        (["--fresh"], "unknown option --fresh; usage: scripts/quickstart.sh [VIDEO | --train"),
        (["--train", "more"], "unknown argument more; usage: scripts/quickstart.sh --train"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    command = ["bash", str(SCRIPTS / "quickstart.sh"), *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: {sentence}")
    assert run.stderr.count("\n") == 1
    assert run.stdout == ""
