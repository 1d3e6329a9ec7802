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
TESTS = ("flow_warp", "aggregate", "ps_roi_pool")
# These run torch's compiler or the plain twins, not other code of ours, and take most of the time.
WITHOUT = "not compiles and not exports and not registered_soundly"
WITHOUT += " and not (gradients and reference)"
KINDS = "-fsanitize=address,undefined,float-cast-overflow"

# The module takes the place of the one that is installed.
RUN_TESTS = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
import pytest, torch
spec = spec_from_file_location("fgfa._C", sys.argv[1])
sys.modules["fgfa._C"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["fgfa._C"])
print("instruction set:", sys.modules["fgfa._C"].CPU_CAPABILITY)
sys.exit(pytest.main(["-q", "-s", "-p", "no:cacheprovider", *sys.argv[2:]]))
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
    # The standard library must come with it, or it finds no function to throw exceptions with.
    libraries = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    environment = {
        **os.environ,
        "LD_PRELOAD": ":".join(libraries),
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


@pytest.fixture(scope="module")
def module(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled module with both sanitizers."""
    folder = tmp_path_factory.mktemp("sanitized")
    flags = f"{KINDS} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1 -O1"
    command = [sys.executable, "setup.py", "build_ext", "--build-lib", str(folder)]
    build = subprocess.run(
        [*command, "--build-temp", str(folder / "objects")],
        cwd=ROOT,
        env={**os.environ, "CFLAGS": flags, "LDFLAGS": KINDS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    (path,) = folder.glob("fgfa/_C*.so")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
def test_operators_do_nothing_undefined(
    capability: str, compiler: str, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FGFA_CPU_CAPABILITY", capability)
    tests = [str(Path(__file__).with_name(f"test_{name}.py")) for name in TESTS]
    tested = run(compiler, RUN_TESTS, str(module), "-k", WITHOUT, *tests)
    assert tested.returncode == 0, tested.stdout[-5000:] + tested.stderr[:5000]
