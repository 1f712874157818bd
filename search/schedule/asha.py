"""Asynchronous successive halving: which trials aren't worth more training.

Source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning, algorithm 2. With one goal a trial must
reach the quantile of what came to its rung before it, as in Ray Tune's class. With several, the trials of a rung are
sorted by non-dominated rank, and those of one rank by crowding distance, as in Schmucker et al. 2021, Multi-objective
Asynchronous Successive Halving. Time is counted in epochs; a trial stands there with its best checkpoint.
"""

import bisect
from typing import Protocol, final

import numpy as np

from search.study.budget import Budget
from search.study.goals import Fronts, ObjectiveValues


class _Rung(Protocol):
    """The trials that came to an epoch at which some of them stop."""

    def good(self, standing: ObjectiveValues) -> bool:
        """Take in one more trial; whether it's among the best 1 / reduction."""


@final
class Halving:
    """Decides at each rung which trials stop: those that aren't among its best 1 / reduction.

    Args:
        budget: epochs, those of the first rung, and the reduction.
        goals: how many there are; one is `misfit`.
    """

    def __init__(self, budget: Budget, goals: int = 1) -> None:
        self._epochs = budget.epochs
        self._rungs: dict[int, _Rung] = {}
        self._noted: dict[int, set[int]] = {}
        rung = min(budget.grace, budget.epochs)
        while rung <= budget.epochs:
            self._rungs[rung] = _Quantile(budget.reduction) if goals == 1 else _Ranked(budget.reduction)
            self._noted[rung] = set()
            rung *= budget.reduction

    def stops(self, number: int, epoch: int, standing: ObjectiveValues) -> bool:
        """Whether a trial that stands there by this epoch ends here."""
        # At the last rung that it has passed and was not noted at: a trial may come late, or tell a rung twice.
        passed = (rung for rung in reversed(self._rungs) if epoch >= rung and number not in self._noted[rung])
        rung = next(passed, None)
        if rung is None:
            return epoch >= self._epochs
        self._noted[rung].add(number)
        return not self._rungs[rung].good(standing) or epoch >= self._epochs


@final
class _Quantile:
    """A rung of one goal."""

    def __init__(self, reduction: int) -> None:
        self._percent, self._misfits = 100 / reduction, list[float]()

    def good(self, standing: ObjectiveValues) -> bool:
        good = not self._misfits or standing.misfit <= np.percentile(self._misfits, self._percent)
        self._misfits.append(standing.misfit)
        return bool(good)


@final
class _Ranked:
    """A rung of several goals, where what breaks bounds is the last."""

    def __init__(self, reduction: int) -> None:
        self._reduction, self._fronts, self._violations = reduction, Fronts(), list[float]()

    def good(self, standing: ObjectiveValues) -> bool:
        most = max(0.0, (len(self._fronts) + len(self._violations) - 1) / self._reduction)
        if standing.violation == 0:
            self._fronts.add(standing.values)
            return self._fronts.newest_among(most)
        before = len(self._fronts) + bisect.bisect_left(self._violations, standing.violation)
        bisect.insort(self._violations, standing.violation)
        return before <= most
