"""Commands that are run once: what has ended well is not repeated, what was interrupted goes on."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

from fgfa.errors import InputError
from fgfa.files import atomic_write

ROOT = Path(__file__).parents[2]
LOG = "step.log"
_STAMP = "step.json"
# What train_net.py and tqdm say about how far they are.
_PROGRESS = re.compile(r"eta: .*total_loss: \S+|Inference done \d+/\d+.*|\d+/\d+ \[[^\]]*\].*")

Show = Callable[[str], None]


class State(Enum):
    """What is to be done about a step."""

    DONE = "done before"
    INTERRUPTED = "interrupted before, goes on"
    OUTDATED = "done before, but its command, its config or a step before it has changed: runs anew"
    NEW = "to be done"


def no_resume() -> Sequence[str]:
    """For a step that starts over when it was interrupted."""
    return ()


@dataclass(frozen=True)
class Step:
    """A Python program with its arguments, which works in a folder of its own.

    Commands run in the repository's root, and paths in them are relative to it. The stamp in the
    folder says which command has been run there, behind which runs of the steps before, and
    whether it ended well.

    Attributes:
        name: for people.
        arguments: of `python`, the program first.
        folder: where it writes; is removed with all in it before the step runs anew.
        after: the steps whose results it uses.
        environment: variables to set.
        inputs: other things that it has to run anew for when they change, by name.
        resume: gives the options with which an interrupted run goes on, if there are any.
    """

    name: str
    arguments: Sequence[str]
    folder: Path
    after: Sequence["Step"] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    resume: Callable[[], Sequence[str]] = no_resume

    @property
    def command(self) -> str:
        """As one would type it."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*variables, shlex.join(["python", *self.arguments])])

    @property
    def log(self) -> Path:
        return self.folder / LOG

    def state(self) -> State:
        """Whether the step has to run, by its stamp and those of the steps before."""
        stamp = self._stamp()
        if not stamp:
            return State.NEW
        if any(stamp.get(key) != value for key, value in self._made_from().items()):
            return State.OUTDATED
        return State.DONE if stamp["finished"] else State.INTERRUPTED

    def finished(self) -> str | None:
        """When the step ended well, None where it has to run."""
        return self._stamp()["finished"] if self.state() is State.DONE else None

    def seconds(self) -> float:
        """How long it ran, interrupted runs included."""
        return self._stamp().get("seconds", 0.0)

    def run(self, show: Show) -> None:
        """Runs the step, with its output in the log.

        Args:
            show: takes a line on how far it is, now and then.

        Raises:
            InputError: it failed.
        """
        goes_on = self.state() is State.INTERRUPTED
        options = self.resume() if goes_on else ()
        spent = self.seconds() if options else 0.0
        if not options:
            self._clear()
        started = time.monotonic()
        self._write_stamp(spent)
        try:
            status = self._run_logged(options, show)
        finally:
            spent += time.monotonic() - started
            self._write_stamp(spent)
        if status:
            raise InputError(
                f"the step '{self.name}' ended with exit status {status}; see its log, "
                f"{self.log}, and run the same command again"
            )
        self._write_stamp(spent, datetime.now(timezone.utc).isoformat())

    def _run_logged(self, options: Sequence[str], show: Show) -> int:
        program, *arguments = self.arguments
        environment = {**os.environ, **self.environment, "PYTHONUNBUFFERED": "1"}
        with (
            open(ROOT / self.log, "a", encoding="utf-8") as log,
            subprocess.Popen(
                [sys.executable, program, *options, *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            try:
                for line in process.stdout:
                    log.write(line)
                    log.flush()
                    if progress := _PROGRESS.search(line):
                        show(progress[0])
            except BaseException:
                process.terminate()
                raise
        return process.returncode

    def _made_from(self) -> dict[str, object]:
        """The part of the stamp that must be the same for what is there to be used."""
        times = {step.name: step.finished() for step in self.after}
        return {"command": self.command, "inputs": dict(self.inputs), "after": times}

    def _stamp(self) -> dict:
        path = ROOT / self.folder / _STAMP
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def _write_stamp(self, seconds: float, finished: str | None = None) -> None:
        stamp = {**self._made_from(), "seconds": round(seconds, 3), "finished": finished}
        with atomic_write(ROOT / self.folder / _STAMP) as path:
            path.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")

    def _clear(self) -> None:
        """Removes what a former run left; a folder without a stamp is somebody else's."""
        if self._stamp():
            shutil.rmtree(ROOT / self.folder)


def with_steps_before(steps: Sequence[Step]) -> list[Step]:
    """Steps and all that they need, each once, behind what it needs."""
    ordered: dict[str, Step] = {}
    for step in steps:
        for needed in (*with_steps_before(step.after), step):
            ordered.setdefault(needed.name, needed)
    return list(ordered.values())
