#!/usr/bin/env bash
# Runs all checks: format, lint, then the tests. Sets everything up first where that is needed.
#
#     scripts/test.sh                            # everything
#     scripts/test.sh -m "not slow" tests/data   # arguments go to pytest
#
# Tests on real data and goldens run where FGFA_SHARED names their folder, and are skipped elsewhere.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
source scripts/setup.sh
set_up test

echo "ruff: format and lint"
ruff format --check .
ruff check .

echo "clang-format: compiled operators"
find projects/FGFA/fgfa/layers/csrc tests/layers -regex '.*\.\(h\|cpp\|cu\|cuh\)' -print0 | xargs -0 clang-format --dry-run -Werror

# Each process of pytest computes on one core. One that has no more tests takes some of another's.
echo "pytest"
processes=$(nproc)
export OMP_NUM_THREADS=1
python -m pytest --numprocesses "$processes" --dist worksteal --durations=10 "$@"
