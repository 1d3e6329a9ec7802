"""What the fuzz tests share: hostile bytes, and what must hold for every case.

A case ends in success or in an `InputError` that names the file, within `SECONDS`, and takes at
most `MEGABYTES` of memory while it runs. `--fuzz-cases` says how many there are of each kind; they
follow from their numbers, so that more of them hold the same ones and then others.
"""

import contextlib
import random
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fgfa.errors import InputError

SECONDS = 10.0
MEGABYTES = 256

# Numbers, lengths and offsets at the edges of their types.
_NUMBERS = [0, 1, -1, 127, 128, 255, 256, 32767, 65535, 1 << 31, (1 << 31) - 1, (1 << 32) - 1]
_NUMBERS += [1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
# What may stand in a text in the place of a number or word.
WORDS = [
    *("", "0", "-0", "-1", "1e308", "-1e308", "1e999", "nan", "NaN", "inf", "-Infinity", "1_0"),
    *("9" * 30, "9" * 5000, "18446744073709551616", "0x10", "1.5", "٣", "²", "é", "\0", "\ud800"),
    *("../../outside/a", "/outside/a", "..", ".", "/", "~", "//", "a/../../outside/a", "%d", "{}"),
    *("null", "true", "[]", "{}", "[" * 3000, "{'a': " * 3000, "<a>" * 3000, '"', "'", "\\", "#"),
]


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Changes some bytes: bits, numbers at the edges, chunks that move, double or vanish."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        # Heads and tails of files say more than what lies between.
        size, edge = len(data), min(len(data), 256)
        start = rng.choice((rng.randrange(size + 1), rng.randrange(edge + 1), size - edge))
        end = min(size, start + rng.choice((1, 2, 4, 8, 64, 1024)))
        match rng.randrange(8):
            case 0 if start < size:
                data[start] ^= 1 << rng.randrange(8)
            case 1:
                data[start : start + 1] = bytes([rng.randrange(256)])
            case 2:
                number, width = rng.choice(_NUMBERS), rng.choice((1, 2, 4, 8))
                order = rng.choice(("little", "big"))
                written = (number % (1 << 8 * width)).to_bytes(width, order)
                data[start : start + width] = written
            case 3:
                del data[start:end]
            case 4:
                data[start:start] = data[start:end] * rng.choice((1, 2, 100))
            case 5:
                del data[start:]
            case 6:
                data[start:start] = rng.randbytes(rng.choice((1, 4, 64)))
            case 7:
                other = rng.randrange(size + 1)
                data[other:other] = data[start:end]
    return bytes(data)


def mutate_text(content: bytes, rng: random.Random) -> bytes:
    """Changes numbers, words, names and lines of a text, or its bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    text = content.decode()
    for _ in range(rng.choice((1, 1, 2, 5))):
        lines = text.splitlines(keepends=True)
        if rng.random() < 0.3 and lines:
            line = rng.randrange(len(lines))
            lines[line : line + 1] = [lines[line]] * rng.choice((0, 2, 100))
            text = "".join(lines)
            continue
        words = list(re.finditer(r"[\w.\-+/]+", text))
        if words:
            start, end = rng.choice(words).span()
            text = text[:start] + rng.choice(WORDS) + text[end:]
    return text.encode(errors="surrogatepass")


class Fuzzer:
    """Runs cases and checks what must hold for each."""

    def __init__(self, cases: int, folder: Path) -> None:
        self.cases = cases
        self.folder = folder

    def run(
        self,
        read: Callable[[Path], object],
        name: str,
        seeds: Sequence[bytes],
        mutate: Callable[[bytes, random.Random], bytes] = mutate_bytes,
        share: float = 1.0,
        names: Path | None = None,
    ) -> None:
        """Reads files of some name that are valid ones, changed.

        Args:
            read: the reader.
            name: of the file.
            seeds: contents of valid files.
            mutate: changes a content.
            share: cases of a slow reader, by the number of others.
            names: what errors must name instead of the file.
        """
        path = self.folder / name
        for seed in seeds:
            path.write_bytes(seed)
            read(path)
        for number in range(max(1, round(self.cases * share))):
            rng = random.Random(f"{name} {number}")
            path.write_bytes(mutate(rng.choice(seeds), rng))
            with self.case(names or path, f"case {number}, left in {path}"):
                read(path)

    @contextlib.contextmanager
    def case(self, names: object, title: str = "") -> Iterator[None]:
        """The block is a case; the text of an `InputError` must have `names` in it."""
        before = _peak_megabytes(reset=True)
        with _time_limit():
            try:
                yield
            except InputError as error:
                assert str(names) in str(error), f"{title}: the file is not named"
            except Exception as error:
                raise AssertionError(f"{title}: {type(error).__name__}: {error}") from error
        grown = _peak_megabytes() - before
        assert grown <= MEGABYTES, f"{title}: took {grown} MB"


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"the case takes longer than {SECONDS} seconds")

    former = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _peak_megabytes(reset: bool = False) -> int:
    """Most memory that this process had since the last reset; 0 where Linux is not."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) >> 10


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, tmp_path: Path) -> Fuzzer:
    return Fuzzer(request.config.getoption("--fuzz-cases"), tmp_path)


@pytest.fixture
def text_changes() -> Callable[[bytes, random.Random], bytes]:
    return mutate_text
