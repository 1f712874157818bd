"""Goals: what trials are ranked by, all of it to be small, and the bounds that they must keep.

Source: Deb et al. 2002, NSGA-II, section VI.A: what breaks bounds stands behind what keeps them, by how much it does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

WORST = 1e6  # stands for the fit of what can't be judged: the scheduler and Optuna want a finite number
BREAKS = WORST / 10  # stands for the fit of what breaks a bound
FACTS = ("parameters", "sample_seconds")  # of a network, besides its scores
# Names that no score can have: what the record, the leaderboard and a study's goals call other things.
RESERVED = (
    *("fit", "misfit", "low", "high", "p_value", "optimism", "violation", *FACTS),
    *("epoch", "best_epoch", "rung", "seconds"),
)


@dataclass(frozen=True)
class Standing:
    """Where a trial stands: its `fit` (a bad one where it breaks bounds), `values` of all goals, and what it breaks."""

    fit: float
    values: tuple[float, ...]
    violation: float


@dataclass(frozen=True)
class Goals:
    """What trials are ranked by, and what they must keep.

    Args:
        rank: what shall be small: "fit", a score, "parameters", or "sample_seconds" that one network takes for 1,000
            rows; several of them make a Pareto front.
        bounds: the largest value allowed of scores, "parameters" and "sample_seconds".
    """

    rank: tuple[str, ...] = ("fit",)
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def timed(self) -> bool:
        """Whether sampling must be timed."""
        return "sample_seconds" in (*self.rank, *self.bounds)

    def standing(self, fit: float, scores: Mapping[str, float], facts: Mapping[str, float]) -> Standing:
        """Where a trial stands of which this is known; what can't be judged has the worst value."""
        known = {**facts, **scores, "fit": fit}
        finite = {name: WORST if math.isnan(value) else min(value, WORST) for name, value in known.items()}
        values = tuple(finite.get(name, WORST) for name in self.rank)
        violation = self.violation(scores, facts)
        kept = finite["fit"] if violation == 0 else min(WORST, BREAKS + violation)
        return Standing(kept, values, violation)

    def excess(self, scores: Mapping[str, float], facts: Mapping[str, float]) -> dict[str, float]:
        """How far each bound is exceeded, over the bound; at most 0 where it is kept."""
        known = {**facts, **scores}
        over = {name: known.get(name, math.inf) / bound - 1 for name, bound in self.bounds.items()}
        return {name: value if value <= WORST else WORST for name, value in over.items()}  # nan is no number below it

    def violation(self, scores: Mapping[str, float], facts: Mapping[str, float]) -> float:
        """Sum of what exceeds the bounds; 0 where all are kept."""
        return sum(max(0.0, value) for value in self.excess(scores, facts).values())

    def hopeless(self, facts: Mapping[str, float]) -> bool:
        """Whether a bound is broken by what training doesn't change."""
        bounds = {name: bound for name, bound in self.bounds.items() if name in FACTS}
        return any(facts.get(name, 0.0) > bound for name, bound in bounds.items())
