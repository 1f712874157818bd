"""Halving: at its rungs, by the cutoffs that one can work out by hand, and as Ray's own scheduler decides."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from search.schedule.asha import Halving
from search.study.budget import Budget
from search.study.goals import ObjectiveValues

BUDGET = Budget(epochs=20, grace=2, reduction=2)


@dataclass(frozen=True)
class Named:
    trial_id: str


def stops(halving: Halving, number: int, epoch: int, misfit: float) -> bool:
    return halving.stops(number, epoch, ObjectiveValues(misfit, (misfit,), 0.0))


def test_a_trial_below_the_upper_half_of_its_rung_stops() -> None:
    halving = Halving(BUDGET)
    assert not stops(halving, 0, 2, 5.0)  # nobody to compare it with
    assert stops(halving, 1, 2, 6.0)  # the cutoff is 5
    assert not stops(halving, 2, 2, 5.4)  # the cutoff is 5.5
    assert stops(halving, 3, 2, 5.41)  # 5.4
    assert not stops(halving, 4, 2, 1.0)  # 5.405
    assert not stops(halving, 0, 4, 4.0)
    assert stops(halving, 2, 4, 4.5)
    assert not stops(halving, 4, 4, 0.5)


def test_who_is_over_counts_at_the_last_rung() -> None:
    halving = Halving(Budget(epochs=20, grace=2, reduction=3))  # rungs at 2, 6 and 18
    assert all(stops(halving, number, 20, 1.0) for number in range(5))
    assert stops(halving, 5, 18, 50.0)
    assert not stops(halving, 6, 18, 0.5)


def test_who_was_at_the_last_rung_counts_there_once() -> None:
    halving = Halving(Budget(epochs=20, grace=2, reduction=2))  # rungs at 2, 4, 8 and 16
    assert not stops(halving, 0, 16, 5.0)
    assert stops(halving, 0, 20, 1.0)
    assert not stops(halving, 1, 16, 4.9)
    assert stops(halving, 2, 16, 4.96)  # the cutoff is 4.95, of the 5 and the 4.9; the 1 came at no rung


def test_between_rungs_nobody_stops() -> None:
    halving = Halving(BUDGET)
    stops(halving, 0, 2, 1.0)
    assert not stops(halving, 1, 1, 100.0)
    assert stops(halving, 1, 3, 100.0)  # the rung at 2 is behind it
    assert not stops(halving, 1, 3, 100.0)


def test_grace_beyond_the_budget_spares_all() -> None:
    halving = Halving(Budget(epochs=5, grace=50))
    assert not any(stops(halving, number, epoch, float(number)) for epoch in range(1, 5) for number in range(9))


def test_the_same_rung_said_twice_changes_nothing() -> None:
    once, twice = Halving(BUDGET), Halving(BUDGET)
    misfits = np.random.default_rng(0).uniform(1, 10, size=(40, 3))
    for number, (first, second, third) in enumerate(misfits):
        for epoch, misfit in ((2, first), (4, second), (8, third)):
            assert stops(once, number, epoch, misfit) == stops(twice, number, epoch, misfit)
            assert not stops(twice, number, epoch, misfit)
            assert not stops(twice, number, epoch, 100 * misfit)


@pytest.mark.parametrize(("grace", "reduction"), [(2, 3), (1, 2), (3, 4), (30, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_decisions_are_asha_s_own(seed: int, grace: int, reduction: int) -> None:
    generator = np.random.default_rng(seed)
    budget = Budget(epochs=30, grace=grace, reduction=reduction)
    halving = Halving(budget)
    asha = ASHAScheduler("epoch", "misfit", "min", max_t=30, grace_period=grace, reduction_factor=reduction)
    controller: Any = None
    trials: dict[int, Any] = {number: Named(str(number)) for number in range(40)}
    for trial in trials.values():
        asha.on_trial_add(controller, trial)
    epochs, stopped = dict.fromkeys(trials, 0), 0
    while epochs:
        number = int(generator.choice(list(epochs)))
        epochs[number] = min(30, epochs[number] + int(generator.integers(1, 3)))  # some come late to a rung
        misfit = float(generator.gamma(2.0) * 10 / epochs[number])
        result = {"epoch": epochs[number], "misfit": misfit}
        expected = asha.on_trial_result(controller, trials[number], result) == TrialScheduler.STOP
        if epochs[number] == 30:
            asha.on_trial_complete(controller, trials[number], result)  # or it wouldn't count where it came to
        assert stops(halving, number, epochs[number], misfit) == expected
        if expected:
            stopped += epochs[number] < 30
            del epochs[number]
    assert 15 < stopped < 40 or grace == 30


GOALS = Budget(epochs=18, grace=2, reduction=3)


def at(*values: float, violation: float = 0.0) -> ObjectiveValues:
    return ObjectiveValues(values[0], values, violation)


def test_the_ends_of_a_front_go_on_and_what_is_dominated_stops() -> None:
    halving = Halving(GOALS, 2)
    assert not halving.stops(0, 2, at(1.0, 9.0))
    assert halving.stops(1, 2, at(2.0, 8.0))  # as good in its own way, but of two only one goes on
    assert halving.stops(2, 2, at(3.0, 7.0))
    assert halving.stops(3, 2, at(4.0, 6.0))
    assert not halving.stops(4, 2, at(9.0, 1.0))  # the other end of the front is among the best two
    assert halving.stops(5, 2, at(9.5, 9.5))
    assert not halving.stops(6, 2, at(0.5, 0.5))  # beats all


def test_what_breaks_bounds_is_last() -> None:
    halving = Halving(GOALS, 2)
    assert not halving.stops(0, 2, at(5.0, 5.0, violation=1.0))
    assert not halving.stops(1, 2, at(9.0, 9.0))
    assert halving.stops(2, 2, at(1.0, 1.0, violation=0.5))


def test_with_several_goals_a_rung_is_passed_once() -> None:
    halving = Halving(GOALS, 2)
    halving.stops(0, 2, at(1.0, 1.0))
    assert not halving.stops(1, 1, at(9.0, 9.0))
    assert halving.stops(1, 3, at(9.0, 9.0))
    assert not halving.stops(1, 4, at(9.0, 9.0))
    assert halving.stops(0, 18, at(1.0, 1.0))
    assert halving.stops(0, 18, at(1.0, 1.0))


@pytest.mark.parametrize("seed", range(5))
def test_about_a_third_goes_on(seed: int) -> None:
    dice, halving = np.random.default_rng(seed), Halving(GOALS, 2)
    going = [number for number in range(90) if not halving.stops(number, 2, at(*dice.normal(size=2)))]
    assert 20 <= len(going) <= 50
    further = [number for number in going if not halving.stops(number, 6, at(*dice.normal(size=2)))]
    assert len(going) / 5 <= len(further) <= len(going) / 1.5


@pytest.mark.parametrize("seed", range(5))
def test_ranks_of_one_goal_decide_nearly_as_its_quantile_does(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=200) + 10
    ranks, quantile = Halving(GOALS, 2), Halving(GOALS)
    same = [ranks.stops(n, 2, at(value)) == quantile.stops(n, 2, at(value)) for n, value in enumerate(values)]
    assert np.mean(same) > 0.97  # the quantile lies between the two trials at its cutoff


@pytest.mark.parametrize("seed", range(3))
def test_what_breaks_bounds_stands_by_how_much_it_does_behind_all_that_keeps_them(seed: int) -> None:
    halving, noted = Halving(GOALS, 2), list[float]()
    for number, over in enumerate(np.random.default_rng(seed).integers(0, 9, 60).astype(float).tolist()):
        before = sum(other < over for other in noted)  # those that keep all bounds lie in an order, one by one
        stops = halving.stops(number, 2, at(*([1.0 - number / 99] * 2), violation=over))
        noted.append(over)
        assert stops == ((before if over else 0) > max(0.0, (number - 1) / 3))
