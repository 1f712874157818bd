"""Domains: what a study may write for one key, and which values lie inside."""

from typing import Any

import pytest

from search.errors import GenseekError
from search.study.space import Argument, Choice, Fixed, Range, domain_of

WHOLE = Argument(name="count", kind=int, words=(), default=3)
NUMBER = Argument(name="share", kind=float, words=(), default=0.5)
WORD = Argument(name="kind", kind=str, words=("round", "square"), default="round")


@pytest.mark.parametrize(
    ("argument", "written", "domain"),
    [
        (WHOLE, 4, Fixed(4)),
        (WHOLE, [4], Fixed(4)),
        (WHOLE, [4, 2], Choice((4, 2))),
        (WORD, ["square", "round"], Choice(("square", "round"))),
        (WHOLE, {"low": 1, "high": 9}, Range(low=1, high=9)),
        (WHOLE, {"low": 1, "high": 9, "step": 4}, Range(low=1, high=9, step=4)),
        (NUMBER, {"low": 1, "high": 10, "log": True}, Range(low=1.0, high=10.0, log=True)),
        (NUMBER, {"low": 0.0, "high": 0.3, "step": 0.1}, Range(low=0.0, high=0.3, step=0.1)),
    ],
)
def test_what_may_be_written(argument: Argument, written: Any, domain: Any) -> None:
    assert domain_of(argument, written) == domain


@pytest.mark.parametrize(
    ("argument", "written", "said"),
    [
        (WHOLE, [], "count = []: expected at least one value"),
        (WHOLE, [1, 2, 1], "count = [1, 2, 1]: a value stands twice"),
        (NUMBER, [1, 1.0], "share = [1, 1.0]: a value stands twice"),
        (WHOLE, [1, "2"], "count = '2': expected a whole number"),
        (WORD, ["round", "squar"], "kind: unknown value 'squar'; did you mean 'square'?"),
        (WORD, {"low": 1, "high": 2}, "kind: a range needs numbers; write a list of values instead"),
        (WHOLE, {"low": 1}, "count: a range needs low and high"),
        (WHOLE, {"low": 1, "hihg": 2}, "count: unknown key 'hihg'; did you mean 'high'?"),
        (WHOLE, {"low": 9, "high": 1}, "count: low = 9 must be below high = 1"),
        (WHOLE, {"low": 3, "high": 3}, "count: low = 3 must be below high = 3"),
        (WHOLE, {"low": 0.5, "high": 3}, "count = 0.5: expected a whole number"),
        (NUMBER, {"low": 0.0, "high": 1.0, "log": True}, "share: a logarithmic range needs low above 0 and no step"),
        (NUMBER, {"low": -1.0, "high": 1.0, "log": True}, "share: a logarithmic range needs low above 0 and no step"),
        (
            NUMBER,
            {"low": 1, "high": 2, "log": True, "step": 1},
            "share: a logarithmic range needs low above 0 and no step",
        ),
        (NUMBER, {"low": 1, "high": 2, "log": 1}, "share: log = 1: expected true or false"),
        (NUMBER, {"low": 0.0, "high": float("inf")}, "share = inf: expected a finite number"),
        (NUMBER, {"low": 0.0, "high": 1.0, "step": 0.0}, "share: step = 0.0: expected a number above 0"),
        (WHOLE, {"low": 0, "high": 8, "step": -2}, "count: step = -2: expected a number above 0"),
        (WHOLE, {"low": 1, "high": 8, "step": 2}, "count: high = 8 can't be reached from low = 1 in steps of 2"),
    ],
)
def test_what_may_not(argument: Argument, written: Any, said: str) -> None:
    with pytest.raises(GenseekError) as error:
        domain_of(argument, written)
    assert str(error.value) == said


def test_what_lies_inside() -> None:
    assert 4 in Fixed(4)
    assert 5 not in Fixed(4)
    assert "b" in Choice(("a", "b"))
    assert "c" not in Choice(("a", "b"))
    assert all(value in Range(low=0.5, high=2.0) for value in (0.5, 1, 2.0))
    assert all(value not in Range(low=0.5, high=2.0) for value in (0.49, 2.01, "1"))
    assert [value for value in range(10) if value in Range(low=2, high=8, step=3)] == [2, 5, 8]
    assert 0.1 + 0.2 in Range(low=0.0, high=1.0, step=0.1)


def test_corners_are_the_ends_and_all_choices() -> None:
    assert Fixed(4).extremes() == (4,)
    assert Choice((3, 1, 2)).extremes() == (3, 1, 2)
    assert Range(low=1, high=9, step=4).extremes() == (1, 9)
