"""The results of scripts/evaluate.py --output as a table in Markdown."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fgfa.errors import InputError
from fgfa.files import refuse_special

_METRICS = ("AP50", "AP50-slow", "AP50-medium", "AP50-fast")


def read_results(path: Path) -> dict[str, Any]:
    """The content of a results file.

    Raises:
        InputError: if it cannot be read, or is another kind of file.
    """
    try:
        refuse_special(path)
        results = json.loads(path.read_text(encoding="utf-8"))
        models = [model["bbox"]["AP50"] for model in _models(results).values()]
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as results ({type(error).__name__}: {error}); name what "
            "scripts/evaluate.py --output wrote"
        ) from error
    if not models:
        raise InputError(f"{path} has no models; name what scripts/evaluate.py --output wrote")
    return results


def results_table(results: Mapping[str, Any], name: str) -> str:
    """AP50 by motion, a row for each model and for each gain over the first one.

    Args:
        results: what `read_results` gives.
        name: of the model, where the results are of one alone.
    """
    models = _models(results, name)
    rows = [_row(model, *_values(result)) for model, result in models.items()]
    first = next(iter(models))
    for model, gains in results.get("gains", {}).items():
        gains = [gains[metric] for metric in _METRICS]
        values, intervals = [gain[0] for gain in gains], [gain[1:] for gain in gains]
        rows.append(_row(f"{model} - {first}", values, intervals, sign="+"))
    return "\n".join(["| model | AP50 | slow | medium | fast |", "|---|---|---|---|---|", *rows])


def _models(results: Mapping[str, Any], name: str = "") -> Mapping[str, Any]:
    return results.get("models", {name: results})


def _values(result: Mapping[str, Any]) -> tuple[list, list]:
    intervals = result.get("AP50_interval", {})
    return (
        [result["bbox"].get(metric) for metric in _METRICS],
        [intervals.get(metric, ()) for metric in _METRICS],
    )


def _row(name: str, values: Sequence, intervals: Sequence, sign: str = "") -> str:
    cells = [
        _number(value, sign)
        + (f" ({', '.join(_number(end, sign) for end in interval)})" if interval else "")
        for value, interval in zip(values, intervals, strict=True)
    ]
    return f"| {' | '.join([name, *cells])} |"


def _number(value: float | None, sign: str) -> str:
    return "-" if value is None else f"{value:{sign}.1f}"
