"""Builds the compiled module ``fgfa._C``; the rest of the metadata is in pyproject.toml.

    pip install --no-build-isolation -e .

A part of the toolchain that is missing is left out with a sentence (add ``-v`` to see it); a part
that is there and fails is an error. Environment variables:

    FGFA_NO_EXTENSION=1   build nothing; fgfa then uses plain PyTorch versions of its operators
    FORCE_CUDA=1          fail unless the CUDA kernels can be built
    TORCH_CUDA_ARCH_LIST  compute capabilities, such as "8.0;9.0"; by default those of the GPUs seen
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
PACKAGES = "projects/FGFA"
CSRC = f"{PACKAGES}/fgfa/layers/csrc"
# The stable ABI of torch 2.10: one build runs on that version and all later ones.
MIN_TORCH = (2, 10)
TARGET_VERSION = "-DTORCH_TARGET_VERSION=0x020a000000000000"
# Where no GPU is seen while building; GPUs newer than the last entry compile its PTX.
DEFAULT_ARCHS = "8.0;9.0+PTX"


def main() -> None:
    obstacle = extension_obstacle()
    if obstacle is not None:
        go_on_without("fgfa is installed without compiled operators", obstacle)
    setup(
        package_dir={"": PACKAGES},
        packages=find_packages(PACKAGES, include=["fgfa", "fgfa.*"]),
        **(extension_arguments() if obstacle is None else {}),
    )


def go_on_without(consequence: str, obstacle: str) -> None:
    if os.environ.get("FORCE_CUDA") == "1":
        sys.exit(f"FORCE_CUDA=1, but {obstacle}.")
    print(f"{consequence}: {obstacle}.", file=sys.stderr)


def extension_obstacle() -> str | None:
    """Returns why no extension can be built, or None where it can."""
    if os.environ.get("FGFA_NO_EXTENSION") == "1":
        return "FGFA_NO_EXTENSION=1 is set"
    try:
        import torch
    except ImportError:
        return "torch cannot be imported while building (is --no-build-isolation missing?)"
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < MIN_TORCH:
        return f"torch {torch.__version__} is older than 2.10, which has the stable ABI they need"
    compiler = os.environ.get("CXX", "c++" if sys.platform != "win32" else "cl").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler ({compiler})"
    return None


def cuda_obstacle() -> str | None:
    """Returns why the CUDA kernels cannot be built, or None where they can."""
    import torch
    from torch.utils.cpp_extension import CUDA_HOME

    if torch.version.cuda is None:
        return f"torch {torch.__version__} is a build without CUDA"
    nvcc = Path(CUDA_HOME or "", "bin", "nvcc")
    if CUDA_HOME is None or not nvcc.exists():
        return "there is no CUDA toolkit (nvcc); CUDA_HOME can point to one"
    if not Path(CUDA_HOME, "include", "cuda_runtime.h").exists():
        return f"{CUDA_HOME} has nvcc but no headers; CUDA_HOME can point to a whole toolkit"
    release = re.search(
        r"release (\d+)\.",
        subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout,
    )
    if release is None or release[1] != torch.version.cuda.split(".")[0]:
        found = "unknown" if release is None else release[1]
        return f"the toolkit in {CUDA_HOME} has major version {found}, torch {torch.version.cuda}"
    return None


def extension_arguments() -> dict[str, object]:
    """Returns the arguments of setup() that build ``fgfa._C``."""
    import torch
    from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

    obstacle = cuda_obstacle()
    with_cuda = obstacle is None
    if obstacle is not None:
        go_on_without("fgfa's compiled operators are built for the CPU only", obstacle)
    elif not torch.cuda.is_available():
        os.environ.setdefault("TORCH_CUDA_ARCH_LIST", DEFAULT_ARCHS)
    flags = ["-O3", TARGET_VERSION] + (["-DUSE_CUDA"] if with_cuda else [])
    patterns = ["*.cpp", "cpu/*.cpp"] + (["cuda/*.cu"] if with_cuda else [])
    extension = (CUDAExtension if with_cuda else CppExtension)(
        "fgfa._C",
        sources=sorted(
            path.relative_to(ROOT).as_posix() for p in patterns for path in (ROOT / CSRC).glob(p)
        ),
        # Fused multiply-add where the instruction set has it, which -std=c++20 alone forbids.
        extra_compile_args={"cxx": [*flags, "-ffp-contract=fast"], "nvcc": flags},
        py_limited_api=True,
    )
    return {
        "ext_modules": [extension],
        "cmdclass": {"build_ext": BuildExtension},
        "options": {"bdist_wheel": {"py_limited_api": "cp310"}},
    }


main()
