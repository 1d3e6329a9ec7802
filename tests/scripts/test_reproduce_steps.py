import json
import runpy
from pathlib import Path

import pytest

from fgfa.errors import InputError
from reproducing.steps import State, Step, with_steps_before

SCRIPT = Path(__file__).parents[2] / "scripts" / "reproduce.py"

# Notes how it was called, says how far it is, and fails where a file tells it to.
PROGRAM = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[-1])
with open(folder.with_suffix(".calls"), "a") as calls:
    print(*sys.argv[1:-1], os.environ.get("COLOR"), file=calls)
print("eta: 0:00:01  iter: 19  total_loss: 0.5")
(folder / "checkpoint").touch()
sys.exit(3 if folder.with_suffix(".fails").exists() else 0)
"""


@pytest.fixture
def make_step(tmp_path: Path):
    """A function that makes a step of the program above."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def make(name, *arguments, **fields) -> Step:
        folder = tmp_path / name
        return Step(name, (str(program), *arguments, str(folder)), folder, **fields)

    return make


def run(step: Step) -> list[str]:
    shown: list[str] = []
    step.run(shown.append)
    return shown


def calls(step: Step) -> list[str]:
    return step.folder.with_suffix(".calls").read_text().splitlines()


def fail_once(step: Step) -> None:
    step.folder.with_suffix(".fails").touch()
    with pytest.raises(InputError):
        run(step)
    step.folder.with_suffix(".fails").unlink()


def test_step_is_done_once(make_step) -> None:
    step = make_step("a", "x y", environment={"COLOR": "deep red"})
    assert step.state() is State.NEW
    assert step.command.startswith("COLOR='deep red' python ")
    assert "'x y'" in step.command
    assert run(step) == ["eta: 0:00:01  iter: 19  total_loss: 0.5"]
    assert calls(step) == ["x y deep red"]
    assert step.state() is State.DONE
    assert step.finished()
    assert step.seconds() > 0
    assert "total_loss" in step.log.read_text()


@pytest.mark.parametrize("change", ["command", "inputs", "environment"])
def test_changed_step_runs_anew_in_an_empty_folder(make_step, change: str) -> None:
    step = make_step("a", "1", inputs={"config": "x"})
    run(step)
    (step.folder / "left over").touch()
    changed = {
        "command": make_step("a", "2", inputs={"config": "x"}),
        "inputs": make_step("a", "1", inputs={"config": "y"}),
        "environment": make_step("a", "1", inputs={"config": "x"}, environment={"COLOR": "red"}),
    }[change]
    assert changed.state() is State.OUTDATED
    assert changed.finished() is None
    run(changed)
    assert changed.state() is State.DONE
    assert not (step.folder / "left over").exists()


def test_folder_of_somebody_else_is_not_removed(make_step) -> None:
    step = make_step("a")
    step.folder.mkdir()
    (step.folder / "precious").touch()
    run(step)
    assert (step.folder / "precious").exists()


def test_step_behind_a_new_run_is_outdated_also_after_a_break(make_step) -> None:
    first, other = make_step("first", "1"), make_step("first", "2")
    last = make_step("last", after=(make_step("middle", after=(first,)),))
    for step in with_steps_before([last]):
        run(step)
    assert last.state() is State.DONE
    run(other)
    run(first)  # the same command again, but another run
    assert first.state() is State.DONE
    assert last.after[0].state() is last.state() is State.OUTDATED


def test_failure_names_the_log_and_the_step_can_go_on(make_step) -> None:
    step = make_step("a", "x", resume=lambda: ("--resume",))
    step.folder.with_suffix(".fails").touch()
    with pytest.raises(InputError, match=r"'a' ended with exit status 3; see its log, .*step\.log"):
        run(step)
    assert step.state() is State.INTERRUPTED
    before = step.seconds()
    step.folder.with_suffix(".fails").unlink()
    run(step)
    assert calls(step) == ["x None", "--resume x None"]
    assert step.log.read_text().count("total_loss") == 2
    assert step.seconds() > before


def test_interrupted_step_without_a_checkpoint_starts_over(make_step) -> None:
    step = make_step("a", "x")
    fail_once(step)
    (step.folder / "left over").touch()
    run(step)
    assert calls(step) == ["x None", "x None"]
    assert not (step.folder / "left over").exists()


def test_interrupted_step_does_not_go_on_with_another_command(make_step) -> None:
    fail_once(make_step("a", "x", resume=lambda: ("--resume",)))
    step = make_step("a", "y", resume=lambda: ("--resume",))
    assert step.state() is State.OUTDATED
    run(step)
    assert calls(step)[-1] == "y None"


def test_ctrl_c_ends_the_program_and_keeps_its_folder(make_step) -> None:
    step = make_step("a", resume=lambda: ("--resume",))

    def interrupt(progress: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step.run(interrupt)
    assert step.state() is State.INTERRUPTED
    assert json.loads((step.folder / "step.json").read_text())["finished"] is None


def test_steps_before_come_first_and_once(make_step) -> None:
    data = make_step("data")
    flow, base = make_step("flow", after=(data,)), make_step("base", after=(data,))
    row = make_step("row", after=(flow, base))
    assert with_steps_before([row, base]) == [data, flow, base, row]


class ReportOfSteps:
    """Counts how often a report was written; shows the step that is called row."""

    written = 0

    def shows(self, step: Step) -> bool:
        return step.name == "row"

    def write(self) -> None:
        self.written += 1


def test_steps_are_run_in_turn_and_reported(make_step, capsys) -> None:
    run_steps = runpy.run_path(str(SCRIPT))["run_steps"]
    report = ReportOfSteps()
    steps = [make_step("data"), make_step("row"), make_step("last")]
    run(steps[0])
    steps[2].folder.with_suffix(".fails").touch()
    for _ in range(2):
        with pytest.raises(InputError, match="'last' ended"):
            run_steps(steps, report)
    assert [len(calls(step)) for step in steps] == [1, 1, 2]
    assert report.written == 1
    assert "[1/3] data: done before\n[2/3] row: to be done\n" in capsys.readouterr().out
