"""Results of an evaluation as JSON."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from fgfa.files import atomic_write


def write_results(path: str | os.PathLike[str], results: Mapping[str, Any]) -> None:
    """Writes results as JSON, NaN as null.

    Args:
        path: where; parent folders are made.
        results: task -> metric -> number, or other nestings of mappings and lists.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(_plain(results), indent=2) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
