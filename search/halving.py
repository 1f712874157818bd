"""Asynchronous successive halving: which trials aren't worth more training.

Source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning. Ray Tune's own scheduler decides, trial
by trial; time is counted in epochs, and the metric is `fit`, that of the best checkpoint.
"""

from dataclasses import dataclass
from typing import Any, final

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from search.budget import Budget
from search.goals import Standing


@dataclass(frozen=True)
class _Named:
    trial_id: str


@final
class Halving:
    """Decides at each rung which trials stop."""

    def __init__(self, budget: Budget) -> None:
        # The pick of a bracket uses numpy's global generator; with one bracket there is nothing to pick.
        self._asha = ASHAScheduler(
            time_attr="epoch",
            metric="fit",
            mode="min",
            max_t=budget.epochs,
            grace_period=min(budget.grace, budget.epochs),
            reduction_factor=budget.reduction,
            brackets=1,
        )
        self._epochs = budget.epochs
        self._known: dict[int, Any] = {}

    def stops(self, number: int, epoch: int, standing: Standing) -> bool:
        """Whether a trial that stands there by this epoch ends here."""
        controller: Any = None  # ASHA asks it for nothing
        if number not in self._known:
            self._known[number] = _Named(f"{number:05d}")
            self._asha.on_trial_add(controller, self._known[number])
        result = {"epoch": epoch, "fit": standing.fit}
        if epoch >= self._epochs:
            # Tune's class would stop it without noting it down; others are measured by it.
            self._asha.on_trial_complete(controller, self._known[number], result)
            return True
        return self._asha.on_trial_result(controller, self._known[number], result) == TrialScheduler.STOP
