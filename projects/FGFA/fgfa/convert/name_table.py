"""Tables of what the arrays of other implementations are called here, and their application."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fgfa.errors import InputError

Transform = Callable[[np.ndarray], np.ndarray]
Arrays = Mapping[str, np.ndarray]

FLOW_NET = "flow_net."
_SHOWN = 5  # names in a message


def identity(array: np.ndarray) -> np.ndarray:
    """The transform of an array that is the same here."""
    return array


class Rule(NamedTuple):
    """What becomes of the arrays whose whole name matches a pattern.

    Attributes:
        pattern: regular expression; a plain name is its own pattern.
        target: the full name in our model, with groups as `re.Match.expand` takes them; None for
            an array that is known and that our model does without.
        transform: makes our array of the file's.
        note: what the transform does, for readers of the table.
        fallback: this array counts only where no other one of the file has the same target.
    """

    pattern: str
    target: str | None
    transform: Transform = identity
    note: str = ""
    fallback: bool = False


@dataclass(frozen=True)
class Source:
    """A kind of file that can be converted.

    Attributes:
        name: the implementation that writes it, which `--source` names.
        holds: what is in it, in words.
        matches: tells from the names in a file whether it is one of this kind.
        rules: the table of its names; targets are names of the whole model.
        config: the config whose model it fits, relative to the repository's root.
        part: prefix of the names of our model that it holds, "" for the whole model.
        prepare: what is done to the arrays together before the table is applied to each.
    """

    name: str
    holds: str
    matches: Callable[[Collection[str]], bool]
    rules: Sequence[Rule]
    config: str
    part: str = ""
    prepare: Callable[[Arrays], Arrays] = dict

    @property
    def weights_key(self) -> str:
        """The config key that names the converted file."""
        return "MODEL.FLOW_NET.WEIGHTS" if self.part == FLOW_NET else "MODEL.WEIGHTS"


def choose_source(names: Collection[str], sources: Iterable[Source], path: str) -> Source:
    """The first of `sources` that a file's names fit.

    Raises:
        InputError: where there is none; `path` is the file, for the message.
    """
    sources = list(sources)
    for source in sources:
        if source.matches(names):
            return source
    raise InputError(
        f"{path}: its {_listing(list(names))} are those of none of "
        f"{', '.join(sorted({source.name for source in sources}))}; check the file and --source"
    )


def rename(arrays: Arrays, rules: Sequence[Rule], path: str) -> dict[str, np.ndarray]:
    """Our names and arrays, float32, of a file's arrays; the first rule that matches counts.

    Args:
        arrays: by the file's names.
        rules: the table of its kind.
        path: the file, for messages.

    Raises:
        InputError: where no rule knows a name, an array's shape does not suit its rule, or two
            arrays become the same one.
    """
    patterns = [(re.compile(rule.pattern), rule) for rule in rules]
    chosen: dict[str, tuple[str, Rule]] = {}
    leftovers = []
    for name in arrays:
        found = next(((m, rule) for p, rule in patterns if (m := p.fullmatch(name))), None)
        if found is None:
            leftovers.append(name)
        elif found[1].target is not None:
            match, rule = found
            _choose(chosen, match.expand(rule.target), name, rule, path)
    if leftovers:
        raise InputError(
            f"{path}: {_listing(leftovers)} of the file are not known; check that the file is of "
            "the model and the --source that you name"
        )
    return {
        target: _transform(arrays[name], rule, name, path)
        for target, (name, rule) in chosen.items()
    }


def _choose(
    chosen: dict[str, tuple[str, Rule]], target: str, name: str, rule: Rule, path: str
) -> None:
    """Notes that `name` becomes `target`, unless it is a fallback for one that does."""
    other, other_rule = chosen.get(target, (None, rule))
    if other is None or (other_rule.fallback and not rule.fallback):
        chosen[target] = (name, rule)
    elif rule.fallback == other_rule.fallback:
        raise InputError(f"{path}: {other} and {name} both are {target}; remove one of them")


def _transform(array: np.ndarray, rule: Rule, name: str, path: str) -> np.ndarray:
    try:
        return np.asarray(rule.transform(array), dtype=np.float32, order="C")
    except (IndexError, ValueError) as error:
        raise InputError(
            f"{path}: {name} has shape {array.shape}, which does not fit ({error}); check that "
            "the file is of the model that you name"
        ) from error


def check_complete(
    converted: Arrays,
    expected: Mapping[str, tuple[int, ...]],
    path: str,
    rules: Sequence[Rule] = (),
) -> None:
    """Checks that converted arrays are exactly those of a model.

    Args:
        converted: arrays by our names.
        expected: shapes by the model's names.
        path: the file that was converted, for messages.
        rules: the table of its kind, from which messages tell the file's names.

    Raises:
        InputError: where a name is missing or unexpected, or a shape differs.
    """
    file_names = {rule.target: rule.pattern for rule in rules if rule.target}

    def described(name: str) -> str:
        return f"{name} (in the file: {file_names[name]})" if name in file_names else name

    missing = [described(name) for name in expected if name not in converted]
    if missing:
        raise InputError(
            f"{path}: {_listing(missing)} of the model are missing; take a complete file, or one "
            "of the model that the config builds"
        )
    unexpected = [described(name) for name in converted if name not in expected]
    if unexpected:
        raise InputError(
            f"{path}: the model has no {_listing(unexpected)}; take a file of the model that the "
            "config builds"
        )
    for name, shape in expected.items():
        if converted[name].shape != tuple(shape):
            raise InputError(
                f"{path}: {described(name)} has shape {converted[name].shape} where the model has "
                f"{tuple(shape)}; take a file of the model that the config builds"
            )


def _listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} arrays ({', '.join(names[:_SHOWN])}{more})"
