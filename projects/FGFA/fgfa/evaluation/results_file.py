"""Results of an evaluation as JSON."""

import json
import math
import os
from collections.abc import Mapping

from fgfa.files import atomic_write


def write_results(path: str | os.PathLike[str], results: Mapping[str, Mapping[str, float]]) -> None:
    """Writes results as JSON, NaN as null.

    Args:
        path: where; parent folders are made.
        results: task -> metric -> number.
    """
    plain = {
        task: {name: None if math.isnan(value) else value for name, value in metrics.items()}
        for task, metrics in results.items()
    }
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
