"""Rungs: who goes on where there are several goals."""

import numpy as np
import pytest

from search.budget import Budget
from search.goals import Standing
from search.halving import Halving
from search.rungs import Rungs

BUDGET = Budget(epochs=18, grace=2, reduction=3)


def at(*values: float, violation: float = 0.0) -> Standing:
    return Standing(values[0], values, violation)


def test_the_ends_of_a_front_go_on_and_what_is_dominated_stops() -> None:
    rungs = Rungs(BUDGET)
    assert not rungs.stops(0, 2, at(1.0, 9.0))
    assert rungs.stops(1, 2, at(2.0, 8.0))  # as good in its own way, but of two only one goes on
    assert rungs.stops(2, 2, at(3.0, 7.0))
    assert rungs.stops(3, 2, at(4.0, 6.0))
    assert not rungs.stops(4, 2, at(9.0, 1.0))  # the other end of the front is among the best two
    assert rungs.stops(5, 2, at(9.5, 9.5))
    assert not rungs.stops(6, 2, at(0.5, 0.5))  # beats all


def test_what_breaks_bounds_is_last() -> None:
    rungs = Rungs(BUDGET)
    assert not rungs.stops(0, 2, at(5.0, 5.0, violation=1.0))
    assert not rungs.stops(1, 2, at(9.0, 9.0))
    assert rungs.stops(2, 2, at(1.0, 1.0, violation=0.5))


def test_between_rungs_and_at_a_rung_again_nobody_stops() -> None:
    rungs = Rungs(BUDGET)
    rungs.stops(0, 2, at(1.0, 1.0))
    assert not rungs.stops(1, 1, at(9.0, 9.0))
    assert rungs.stops(1, 3, at(9.0, 9.0))
    assert not rungs.stops(1, 4, at(9.0, 9.0))


def test_the_end_of_the_budget_ends_all() -> None:
    rungs = Rungs(BUDGET)
    assert rungs.stops(0, 18, at(1.0, 1.0))
    assert rungs.stops(0, 18, at(1.0, 1.0))


@pytest.mark.parametrize("seed", range(5))
def test_about_a_third_goes_on(seed: int) -> None:
    dice, rungs = np.random.default_rng(seed), Rungs(BUDGET)
    going = [number for number in range(90) if not rungs.stops(number, 2, at(*dice.normal(size=2)))]
    assert 20 <= len(going) <= 50
    further = [number for number in going if not rungs.stops(number, 6, at(*dice.normal(size=2)))]
    assert len(going) / 5 <= len(further) <= len(going) / 1.5


@pytest.mark.parametrize("seed", range(5))
def test_with_one_goal_it_decides_nearly_as_tune_s_class_does(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=200) + 10
    ours, theirs = Rungs(BUDGET), Halving(BUDGET)
    same = [ours.stops(n, 2, at(value)) == theirs.stops(n, 2, at(value)) for n, value in enumerate(values)]
    assert np.mean(same) > 0.97  # theirs interpolates between the two trials at its cutoff
