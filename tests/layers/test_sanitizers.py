"""The compiled operators under AddressSanitizer and UndefinedBehaviorSanitizer.

`pytest --sanitizers tests/layers/test_sanitizers.py` builds fgfa._C with both, which takes minutes,
and runs the tests of the operators with it in a process of its own, which ends at the first access
beside an array, or overflow, or cast that has no value.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ("flow_warp", "aggregate", "ps_roi_pool", "row_kernels")
# These run torch's compiler, not other code of ours, and take most of the time.
WITHOUT = "not compiles and not exports and not registered_soundly"
KINDS = "-fsanitize=address,undefined,float-cast-overflow"

# The module takes the place of the one that is installed.
RUN_TESTS = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
import pytest, torch
spec = spec_from_file_location("fgfa._C", sys.argv[1])
sys.modules["fgfa._C"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["fgfa._C"])
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""
READ_BESIDE_AN_ARRAY = """
import ctypes
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.memmove(ctypes.c_void_p(c.malloc(64)), ctypes.c_void_p(c.malloc(32)), 64)
"""


@pytest.fixture(scope="module")
def compiler(request: pytest.FixtureRequest) -> str:
    if not request.config.getoption("--sanitizers"):
        pytest.skip("--sanitizers is not given")
    found = shutil.which(os.environ.get("CXX", "c++").split()[0])
    if found is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no C++ compiler, or the system is not Linux")
    return found


def run(compiler: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a Python program with AddressSanitizer, which must be loaded before anything else."""
    library = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much to its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    command: Sequence[str] = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_read_beside_an_array_is_noticed(compiler: str) -> None:
    assert "heap-buffer-overflow" in run(compiler, READ_BESIDE_AN_ARRAY).stderr


@pytest.mark.slow
def test_operators_do_nothing_undefined(compiler: str, tmp_path: Path) -> None:
    flags = f"{KINDS} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1 -O1"
    environment = {**os.environ, "CFLAGS": flags, "LDFLAGS": KINDS}
    build = subprocess.run(
        [
            *(sys.executable, "setup.py", "build_ext", "--build-lib", str(tmp_path)),
            *("--build-temp", str(tmp_path / "objects")),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    (module,) = tmp_path.glob("fgfa/_C*.so") or [build.stdout + build.stderr]
    tests = [str(Path(__file__).with_name(f"test_{name}.py")) for name in TESTS]
    tested = run(compiler, RUN_TESTS, str(module), "-k", WITHOUT, *tests)
    assert tested.returncode == 0, tested.stdout[-5000:] + tested.stderr[-5000:]
