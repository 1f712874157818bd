"""The schema of a constructor: which keys it takes, of which types, and what is said of a wrong value."""

from typing import Any, Literal

import pytest

from search.errors import GenseekError, unknown_name
from search.study.space import arguments_of, checked_arguments


class Thing:
    def __init__(
        self,
        given: int,
        *,
        count: int = 3,
        share: float = 0.5,
        on: bool = False,
        kind: Literal["round", "square"] = "round",
        name: str = "",
    ) -> None:
        pass


def test_arguments_are_those_with_a_default() -> None:
    arguments = arguments_of(Thing)
    assert {name: (entry.kind, entry.words, entry.default) for name, entry in arguments.items()} == {
        "count": (int, (), 3),
        "share": (float, (), 0.5),
        "on": (bool, (), False),
        "kind": (str, ("round", "square"), "round"),
        "name": (str, (), ""),
    }


def test_a_whole_number_may_stand_for_a_number() -> None:
    share = checked_arguments(Thing, {"share": 1, "count": 2, "kind": "square", "on": True})
    assert share == {"share": 1.0, "count": 2, "kind": "square", "on": True}
    assert type(share["share"]) is float


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("count", 2.0, "count = 2.0: expected a whole number"),
        ("count", True, "count = True: expected a whole number"),
        ("count", "2", "count = '2': expected a whole number"),
        ("share", True, "share = True: expected a number"),
        ("share", "half", "share = 'half': expected a number"),
        ("share", float("inf"), "share = inf: expected a finite number"),
        ("share", float("nan"), "share = nan: expected a finite number"),
        ("on", 1, "on = 1: expected true or false"),
        ("name", 3, "name = 3: expected a word in quotes"),
        ("kind", "squar", "kind: unknown value 'squar'; did you mean 'square'?"),
        ("cuont", 3, "unknown key 'cuont'; did you mean 'count'?"),
        ("given", 3, "unknown key 'given'"),
    ],
)
def test_wrong_values(key: str, value: Any, said: str) -> None:
    with pytest.raises(GenseekError) as error:
        checked_arguments(Thing, {key: value})
    assert str(error.value).startswith(said)


def test_all_names_are_told_where_none_is_near() -> None:
    assert unknown_name("score", "zzz", ["ad", "mmd"]) == "unknown score 'zzz'; known: ad, mmd"
    assert unknown_name("search", "zzz", []) == "unknown search 'zzz'; known: none"
