"""Errors that a user can cause, and their way to the screen as one sentence."""

import contextlib
import sys
from collections.abc import Iterator

_MARK = "fgfa.errors.InputError: "


class InputError(ValueError):
    """Input that cannot be used: the message says what was wrong, where, and what to do.

    A DataLoader worker or a spawned process passes an error on as the text of its traceback; only
    our own sentence of such a text is kept.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_own_sentence(message))


def _own_sentence(text: str) -> str:
    return text.rsplit(_MARK, 1)[-1].strip()


@contextlib.contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Ends the program with exit status 1 and the sentence of an `InputError`, without a traceback.

    Ctrl-C ends it with exit status 130, as quietly. Other exceptions pass: they are faults of the
    program, and their traceback is wanted.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        # torch.multiprocessing.spawn wraps the text in an exception class of its own.
        if not isinstance(error, InputError) and _MARK not in str(error):
            raise
        print(f"error: {_own_sentence(str(error))}", file=sys.stderr)
        sys.exit(1)
