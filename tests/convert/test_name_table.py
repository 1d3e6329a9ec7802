import numpy as np
import pytest

from fgfa.convert.name_table import FLOW_NET, Rule, Source, check_complete, choose_source, rename
from fgfa.errors import InputError

RULES = [
    Rule(r"old(\d)\.w", r"new.\1.weight"),
    Rule("negated", "opposite", np.negative),
    Rule("halves", "second", lambda array: np.split(array, 2)[1]),
    Rule("unused", None),
    Rule("fallback", "best", fallback=True),
    Rule("preferred", "best"),
    Rule("again", "opposite"),
]


def _source(name: str, letter: str, part: str = "") -> Source:
    return Source(name, "letters", lambda names: letter in names, [], "config.yaml", part)


def test_rename_applies_the_rule_that_matches():
    arrays = {"old3.w": np.ones(2), "negated": np.arange(3), "unused": np.zeros(1)}
    converted = rename(arrays, RULES, "file")
    assert sorted(converted) == ["new.3.weight", "opposite"]
    assert np.array_equal(converted["opposite"], [0, -1, -2])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8"])
def test_rename_gives_contiguous_float32(dtype: str):
    converted = rename({"negated": np.arange(6, dtype=dtype).reshape(2, 3).T}, RULES, "file")
    assert converted["opposite"].dtype == np.float32
    assert converted["opposite"].flags.c_contiguous
    assert np.array_equal(converted["opposite"], [[0, -3], [-1, -4], [-2, -5]])


def test_rename_names_leftovers():
    arrays = {f"what{i}": np.ones(1) for i in range(7)} | {"negated": np.ones(1)}
    names = "what0, what1, what2, what3, what4 and 2 more"
    with pytest.raises(InputError, match=rf"a\.file: 7 arrays \({names}\) of the file are not"):
        rename(arrays, RULES, "a.file")


def test_rename_matches_whole_names():
    with pytest.raises(InputError, match=r"2 arrays \(xold1\.w, old1\.wx\)"):
        rename({"xold1.w": np.ones(1), "old1.wx": np.ones(1)}, RULES, "file")


def test_rename_refuses_two_arrays_of_one_name():
    with pytest.raises(InputError, match="file: negated and again both are opposite"):
        rename({"negated": np.ones(1), "again": np.ones(1)}, RULES, "file")


@pytest.mark.parametrize("order", [["fallback", "preferred"], ["preferred", "fallback"]])
def test_rename_prefers_another_array_to_a_fallback(order: list[str]):
    arrays = {name: np.full(1, len(name)) for name in order}
    assert rename(arrays, RULES, "file") == {"best": len("preferred")}


def test_rename_takes_a_fallback_that_is_alone():
    assert rename({"fallback": np.full(1, 3)}, RULES, "file") == {"best": 3}


def test_rename_names_the_array_whose_shape_does_not_suit():
    with pytest.raises(InputError, match=r"file: halves has shape \(3,\)"):
        rename({"halves": np.ones(3)}, RULES, "file")


def test_check_complete_accepts_the_exact_names_and_shapes():
    check_complete({"a": np.ones((2, 3)), "b": np.ones(1)}, {"b": (1,), "a": (2, 3)}, "file")


@pytest.mark.parametrize(
    ("converted", "message"),
    [
        ({"a": (2,)}, r"f: 1 arrays \(b \(in the file: old b\)\) of the model are missing"),
        ({"a": (2,), "b": (1,), "c": (1,)}, r"f: the model has no 1 arrays \(c\)"),
        ({"a": (3,), "b": (1,)}, r"f: a has shape \(3,\) where the model has \(2,\)"),
        ({"a": (2, 1), "b": (1,)}, r"f: a has shape \(2, 1\) where the model has \(2,\)"),
    ],
)
def test_check_complete_names_the_fault(converted: dict[str, tuple[int, ...]], message: str):
    arrays = {name: np.ones(shape) for name, shape in converted.items()}
    with pytest.raises(InputError, match=message):
        check_complete(arrays, {"a": (2,), "b": (1,)}, "f", [Rule("old b", "b")])


def test_choose_source_takes_the_first_that_fits():
    sources = [_source("one", "x"), _source("two", "a"), _source("three", "a")]
    assert choose_source(["a", "b"], sources, "file").name == "two"


def test_choose_source_names_what_it_looked_for():
    with pytest.raises(InputError, match=r"file: its 2 arrays \(a, b\) .* none of one, two"):
        choose_source(["a", "b"], [_source("two", "x"), _source("one", "y")], "file")


def test_weights_key():
    assert _source("one", "x").weights_key == "MODEL.WEIGHTS"
    assert _source("one", "x", FLOW_NET).weights_key == "MODEL.FLOW_NET.WEIGHTS"
