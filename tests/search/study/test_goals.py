"""Goals: values, bounds and how much is broken of them."""

import math

import pytest

from search.study.goals import BREAKS, WORST, Goals

SCORES, FACTS = {"ad": 3.0, "overfit": 0.66}, {"parameters": 120.0}


def test_values_stand_in_the_order_of_the_goals() -> None:
    assert Goals(("parameters", "ad", "misfit")).standing(1.5, SCORES, FACTS).values == (120.0, 3.0, 1.5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_what_cannot_be_judged_has_the_worst_value(bad: float | None) -> None:
    scores = {} if bad is None else {"ad": bad}
    assert Goals(("misfit", "ad")).standing(1.0, scores, {}).values == (1.0, WORST)


def test_excess_is_relative_and_at_most_0_where_a_bound_is_kept() -> None:
    goals = Goals(bounds={"overfit": 0.6, "parameters": 120.0})
    assert goals.violations(SCORES, FACTS) == pytest.approx({"overfit": 0.1, "parameters": 0.0})
    assert goals.violation(SCORES, FACTS) == pytest.approx(0.1)
    assert goals.violation({"overfit": 0.5}, {"parameters": 240.0}) == pytest.approx(1.0)
    assert goals.violation({"overfit": 0.6}, {"parameters": 119.0}) == 0.0


@pytest.mark.parametrize("scores", [{}, {"overfit": math.nan}, {"overfit": math.inf}])
def test_what_is_not_known_breaks_its_bound(scores: dict[str, float]) -> None:
    goals = Goals(bounds={"overfit": 0.6})
    assert goals.violations(scores, {}) == {"overfit": WORST}
    assert goals.standing(1.0, scores, {}).misfit == WORST


def test_what_breaks_a_bound_stands_behind_all_that_keeps_it() -> None:
    goals = Goals(bounds={"overfit": 0.6})
    kept, little, much = (
        goals.standing(misfit, {"overfit": o}, {}).misfit for misfit, o in ((9e4, 0.6), (1.0, 0.7), (1.0, 0.9))
    )
    assert kept == 9e4 < BREAKS < little < much < WORST


def test_only_what_training_cannot_change_is_infeasible() -> None:
    goals = Goals(bounds={"overfit": 0.6, "parameters": 100.0, "sample_seconds": 1.0})
    assert goals.infeasible({"parameters": 101.0})
    assert goals.infeasible({"sample_seconds": 1.1, "parameters": 1.0})
    assert not goals.infeasible({"parameters": 100.0})
    assert not goals.infeasible({})


def test_sampling_is_timed_where_it_counts() -> None:
    assert Goals(("misfit", "sample_seconds")).timed
    assert Goals(bounds={"sample_seconds": 1.0}).timed
    assert not Goals(("misfit", "parameters"), {"overfit": 1.0}).timed
