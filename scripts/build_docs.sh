#!/usr/bin/env bash
# Builds docs/ and the API reference as a site; a broken link, or a docstring that does not fit its function, is an error.
#
#     scripts/build_docs.sh                     # writes output/site/index.html
#     scripts/build_docs.sh --site-dir site    # arguments go to mkdocs build
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
source scripts/setup.sh
set_up test

echo "mkdocs: pages and API reference"
python -m mkdocs build --strict --quiet "$@"
