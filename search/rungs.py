"""Asynchronous successive halving where there are several goals.

Source: Schmucker et al. 2021, Multi-objective Asynchronous Successive Halving: at a rung the trials are sorted by
non-dominated rank; here those of one rank are sorted by crowding distance (Deb et al. 2002, NSGA-II).
"""

from typing import final

from search.budget import Budget
from search.front import best_first
from search.goals import Standing


@final
class Rungs:
    """Decides at each rung which trials stop: those that don't stand among its best 1 / reduction."""

    def __init__(self, budget: Budget) -> None:
        self._reduction, self._epochs = budget.reduction, budget.epochs
        self._noted: dict[int, dict[int, Standing]] = {}
        rung = min(budget.grace, budget.epochs)
        while rung <= budget.epochs:
            self._noted[rung] = {}
            rung *= budget.reduction

    def stops(self, number: int, epoch: int, standing: Standing) -> bool:
        """Whether a trial that stands there by this epoch ends here."""
        for rung, noted in reversed(self._noted.items()):
            if epoch >= rung and number not in noted:
                noted[number] = standing
                most = max(0.0, (len(noted) - 2) / self._reduction)
                return epoch >= self._epochs or self._place(number, noted) > most
            if epoch >= rung:
                break
        return epoch >= self._epochs

    @staticmethod
    def _place(number: int, noted: dict[int, Standing]) -> int:
        """Place of a trial among those noted at its rung; those that break bounds are the last."""
        kept = {each: standing.values for each, standing in noted.items() if standing.violation == 0}
        if number in kept:
            return best_first(list(kept.values())).index(list(kept).index(number))
        own = noted[number].violation
        return len(kept) + sum(0 < each.violation < own for each in noted.values())
