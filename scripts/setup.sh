#!/usr/bin/env bash
# Sets up everything that fgfa needs to run, and does nothing when that is already in place:
#
#     scripts/setup.sh          # what running fgfa takes
#     scripts/setup.sh test     # and the tools of scripts/test.sh and scripts/build_docs.sh
#
# Works in the active virtual or conda environment, or else in .venv in the repository root.
# Packages that are already there (torch, torchvision, Detectron2) are used as they are.
# The other scripts source this file, call set_up, and have the environment active afterwards.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
setup_log=$repository/output/setup.log

fail() {
    echo "error: $*" >&2
    exit 1
}

# logged TITLE COMMAND...: runs the command with its output in the log, dots meanwhile, seconds at the end.
logged() {
    local title=$1 started=$SECONDS status=0
    shift
    mkdir -p "$(dirname "$setup_log")"
    printf '%s' "$title"
    while sleep 5 >/dev/null && kill -0 $$ 2>/dev/null; do printf .; done &
    local dots=$!
    "$@" >>"$setup_log" 2>&1 || status=$?
    kill "$dots" 2>/dev/null || true
    wait "$dots" 2>/dev/null || true
    if ((status != 0)); then
        printf '\n'
        tail -n 25 "$setup_log" >&2
        fail "this step failed; its whole output is in $setup_log"
    fi
    echo " $((SECONDS - started)) s"
}

supported_python() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

has_module() {
    "$1" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$2') is None)"
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if supported_python "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.10 to 3.13 on the PATH; install one with: sudo apt-get install python3 python3-venv python3-dev"
}

make_venv() {
    local python=$1
    shift
    has_module "$python" ensurepip ||
        fail "$python cannot make virtual environments; run: sudo apt-get install python3-venv"
    "$python" -m venv "$@" "$repository/.venv"
}

# A torch that belongs to the system's Python, as in many container images, stays visible in .venv.
enter_environment() {
    if [[ -z ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} ]]; then
        if [[ ! -x $repository/.venv/bin/python ]]; then
            local python options=()
            python=$(find_python)
            has_module "$python" torch && options=(--system-site-packages)
            echo "making .venv with $("$python" --version)"
            make_venv "$python" "${options[@]}"
        fi
        # shellcheck disable=SC1091
        source "$repository/.venv/bin/activate"
    fi
    supported_python python ||
        fail "the environment in use has $(python --version 2>&1), fgfa needs 3.10 to 3.13; activate another one, or none"
}

check_build_tools() {
    command -v "${CXX:-g++}" >/dev/null ||
        fail "no C++ compiler (${CXX:-g++}); run: sudo apt-get install g++"
    python -c 'import os, sysconfig as s; raise SystemExit(not os.path.exists(s.get_path("include") + "/Python.h"))' ||
        fail "the headers of $(python --version) are missing; run: sudo apt-get install python3-dev"
}

# The constraints keep pip from exchanging the torch that is there for another.
pip_install() {
    python -m pip install --disable-pip-version-check --no-input --constraint <(installed_torch) "$@"
}

installed_torch() {
    python -m pip list --format=freeze | grep -E '^(torch|torchvision)==' || true
}

# Both in one call, so that pip picks two releases that fit; one that is there already stays.
install_torch() {
    python -c 'import torch, torchvision' || pip_install torch torchvision
    python -c 'import torch, torchvision'
}

# Detectron2 has no release of its own on PyPI. A wheel built from its sources is there under another name, for
# Python 3.10 and an old torch: fgfa uses its Python files, which run anywhere, and not its compiled module.
install_detectron2() {
    python -c 'import detectron2' && return
    local packages
    packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') &&
        pip_install --no-deps --only-binary=:all: --python-version 3.10 --implementation cp --abi cp310 \
            --platform linux_x86_64 --target "$packages" sal-detectron2==0.7.2 &&
        rm -f "$packages"/detectron2/_C.*.so &&
        pip_install --no-build-isolation cloudpickle fvcore 'hydra-core>=1.1' iopath matplotlib 'omegaconf>=2.1,<2.4' \
            packaging pycocotools tabulate tensorboard termcolor tqdm yacs &&
        python -c 'import detectron2.model_zoo'
}

install_fgfa() {
    pip_install --no-build-isolation --editable "${repository}[$1]"
}

# What the set-up was made from and what it made: it is done again when any of it changes.
setup_key() {
    (
        cd "$repository"
        pwd
        python -c 'import sys, importlib.metadata as m; print(sys.version, m.version("torch"))' 2>/dev/null
        cat setup.py pyproject.toml scripts/setup.sh
        find projects/FGFA/fgfa/layers/csrc -type f -print0 | sort -z | xargs -0 cat
        find projects/FGFA/fgfa -name '_C*' -print
    ) | sha256sum | cut -d ' ' -f 1
}

# set_up [test]
set_up() {
    local tools=${1:-run} stamp key made_for started=$SECONDS extras=backbones,video
    [[ $tools == test ]] && extras+=,docs,export,test
    enter_environment
    stamp=$(python -c 'import sys; print(sys.prefix)')/.fgfa-setup
    read -r key made_for 2>/dev/null <"$stamp" || true
    if [[ ${key:-} == "$(setup_key)" && (${made_for:-} == test || $tools == run) ]]; then
        return
    fi
    echo "set-up in $(python -c 'import sys; print(sys.prefix)')"
    [[ ${FGFA_NO_EXTENSION:-} == 1 ]] || check_build_tools
    mkdir -p "$(dirname "$setup_log")"
    : >"$setup_log"
    logged "[1/4] build tools" pip_install 'setuptools>=68,<81' wheel ninja
    logged "[2/4] torch and torchvision (several GB where they are missing)" install_torch
    logged "[3/4] Detectron2" install_detectron2
    logged "[4/4] fgfa: its Python packages and the compiled extension" install_fgfa "$extras"
    echo "$(setup_key) $tools" >"$stamp"
    echo "set-up done in $((SECONDS - started)) s"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set_up "$@"
fi
