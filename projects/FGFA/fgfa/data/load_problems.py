"""What is wrong with the annotations of a data set, collected instead of raised."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from fgfa.errors import InputError

# Tolerates nothing: the first error is raised.
STRICT: AbstractContextManager = nullcontext()


@dataclass
class LoadProblems(AbstractContextManager):
    """Takes up each `InputError` of a `with` block, which then ends early.

    Readers hold such a block around each frame and box, so that one that is wrong is left out.

    Attributes:
        sentences: of the errors.
        other_names: how many objects were left out because they are of no known class, by name.
    """

    sentences: list[str] = field(default_factory=list)
    other_names: Counter[str] = field(default_factory=Counter)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, InputError):
            return False
        self.sentences.append(str(error))
        return True
