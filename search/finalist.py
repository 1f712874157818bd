"""A finalist: a configuration of a search, as fresh networks confirm it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.storage import Storage
from search.study.configuration import Configuration


@dataclass(frozen=True)
class Finalist:
    """A configuration as its fresh networks confirm it, on test rows.

    Args:
        trial: its number in the search.
        configuration: what was trained.
        searched: fit on validation rows that the search chose it by.
        validated: the same of each fresh network; infinite where one diverged or failed.
        fits: of each fresh network on test rows; infinite where one could not be judged.
        scores: means over the networks.
        low, high: 95 % interval of the fit; infinite where it is unknown.
        p_value: share of relabelings of the networks, its own and the winner's, with at least the winner's lead; 1 for
            the winner.
        parameters: of one network.
        verdict: "winner", "tie" with the winner, "breaks a bound", "diverged" (a network has no fit), or "".
        checkpoint: where the network is that judged best on validation rows.
        run_id: of the trial in the store.
    """

    trial: int
    configuration: Configuration
    searched: float
    validated: tuple[float, ...]
    fits: tuple[float, ...]
    scores: dict[str, float]
    low: float
    high: float
    p_value: float
    parameters: float
    verdict: str
    checkpoint: Storage
    run_id: str

    @property
    def fit(self) -> float:
        """Geometric mean over the networks, since a fit is a ratio."""
        return _mean(self.fits)

    @property
    def optimism(self) -> float:
        """How much worse fresh networks are on the rows that the search chose by: their fit over its, less 1.

        Infinite where one diverged or failed.
        """
        return _mean(self.validated) / self.searched - 1

    def described(self) -> dict[str, Any]:
        """JSON of all of it."""
        plain = {key: value for key, value in vars(self).items() if key not in ("configuration", "checkpoint")}
        return plain | {"configuration": self.configuration.flat(), "fit": self.fit, "optimism": self.optimism}


def _mean(fits: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(fits))))
