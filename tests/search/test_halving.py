"""Halving: Ray's own scheduler decides, at its rungs, by the cutoffs that one can work out by hand."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from search.budget import Budget
from search.goals import Standing
from search.halving import Halving

BUDGET = Budget(epochs=20, grace=2, reduction=2)


@dataclass(frozen=True)
class Named:
    trial_id: str


def stops(halving: Halving, number: int, epoch: int, fit: float) -> bool:
    return halving.stops(number, epoch, Standing(fit, (fit,), 0.0))


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
    fits = np.random.default_rng(0).uniform(1, 10, size=(40, 3))
    for number, (first, second, third) in enumerate(fits):
        for epoch, fit in ((2, first), (4, second), (8, third)):
            assert stops(once, number, epoch, fit) == stops(twice, number, epoch, fit)
            assert not stops(twice, number, epoch, fit)
            assert not stops(twice, number, epoch, 100 * fit)


@pytest.mark.parametrize("seed", range(4))
def test_decisions_are_asha_s_own(seed: int) -> None:
    generator = np.random.default_rng(seed)
    budget = Budget(epochs=30, grace=2, reduction=3)
    halving = Halving(budget)
    asha = ASHAScheduler("epoch", "fit", "min", max_t=30, grace_period=2, reduction_factor=3)
    controller: Any = None
    trials: dict[int, Any] = {number: Named(str(number)) for number in range(40)}
    for trial in trials.values():
        asha.on_trial_add(controller, trial)
    epochs, stopped = dict.fromkeys(trials, 0), 0
    while epochs:
        number = int(generator.choice(list(epochs)))
        epochs[number] += 1
        fit = float(generator.gamma(2.0) * 10 / epochs[number])
        result = {"epoch": epochs[number], "fit": fit}
        expected = asha.on_trial_result(controller, trials[number], result) == TrialScheduler.STOP
        assert stops(halving, number, epochs[number], fit) == expected
        if expected:
            stopped += epochs[number] < 30
            del epochs[number]
    assert 15 < stopped < 40
