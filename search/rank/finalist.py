"""Configurations that were trained again with fresh seeds, and the uncertainty of their misfits and of their ratios.

Source of intervals: Efron and Tibshirani 1993, An Introduction to the Bootstrap. Of corrected p-values: Holm 1979, A
simple sequentially rejective multiple test procedure.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives import Judge
from search.checkpoints import CheckpointStorage
from search.study.configuration import Configuration

Array: TypeAlias = NDArray[np.float64]
REPEATS = 200
DRAWN = 2000  # rows of a bootstrap sample at most: judging them takes time with their square
SPAN = (2.5, 97.5)  # percentiles
KNOWN = 0.5  # least share of bootstrap samples that could be judged; an interval of fewer would say nothing
MOST_DEALS = 20_000  # if there are more ways to deal the networks out, this many random ones are used


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """Results of a configuration's fresh networks on test rows.

    Args:
        trial: its number in the search.
        configuration: the configuration that was trained.
        searched: misfit on validation rows by which the search chose it; nan if it didn't train it whole.
        validated: the same of each fresh network; infinite if it diverged or failed.
        misfits: of each fresh network on test rows; infinite if it could not be judged.
        scores: means over the networks.
        low, high: 95 % interval of the misfit; infinite if unknown.
        p_value: share of relabellings of the networks, its own and the winner's, with at least the winner's lead,
            corrected for the number of finalists compared (Holm); 1 for the winner.
        parameters: of one network.
        verdict: "winner", "tie" with the winner, "breaks a bound", "diverged" (a network has no misfit), or "".
        checkpoint: where the network is that judged best on validation rows.
        best_epoch: the epoch at which it did.
        run_id: of the trial in the store.
    """

    trial: int
    configuration: Configuration
    searched: float
    validated: tuple[float, ...]
    misfits: tuple[float, ...]
    scores: dict[str, float]
    low: float
    high: float
    p_value: float
    parameters: float
    verdict: str
    checkpoint: CheckpointStorage
    best_epoch: int
    run_id: str

    @property
    def misfit(self) -> float:
        """Return the geometric mean over the networks, since a misfit is a ratio."""
        return _mean(self.misfits)

    @property
    def optimism(self) -> float:
        """Return how much worse fresh networks are on validation rows: their misfit over the search's, less 1.

        Infinite if a network diverged or failed, and nan if the search didn't train it whole.
        """
        return _mean(self.validated) / self.searched - 1

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        plain = {key: value for key, value in vars(self).items() if key not in ("configuration", "checkpoint")}
        return plain | {"configuration": self.configuration.flat(), "misfit": self.misfit, "optimism": self.optimism}


def _mean(misfits: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(misfits))))


def resampled(judge: Judge, rows: Array, samples: Array, seed: int, *, repeats: int = REPEATS) -> Array:
    """Return misfits `[k, R, B]` of samples `[k, R, m, columns]` on bootstrap samples of held-out rows `[m, columns]`.

    Each bootstrap sample judges all networks, so that differences between networks aren't blurred. A misfit is nan if
    the drawn rows can't be judged, for example if a user's own score doesn't serve them. A bootstrap sample has at most
    2,000 rows, held-out and generated: of more rows it shows more noise than there is, and never less.
    """
    generator = np.random.default_rng([seed, 7])
    count = min(len(rows), DRAWN)
    pack = samples.reshape(-1, 1, *samples.shape[2:])[:, :, :count]
    judge = judge.ranked()
    misfits = []
    for _ in range(repeats):
        drawn = rows[generator.integers(len(rows), size=count)]
        try:
            misfits.append([evaluation.misfit for evaluation in judge.on(drawn).each(pack)])
        except (ValueError, ArithmeticError):
            misfits.append([np.nan] * len(pack))
    return np.array(misfits).T.reshape(*samples.shape[:2], repeats)


def interval(misfits: ArrayLike, again: Array, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the geometric mean of misfits `[R]`, from values `[R, B]` on bootstrap samples.

    Each bootstrap sample also resamples the networks. Rows drawn twice make every sample look farther away, so only the
    spread of the bootstrap is used, not its location. The interval is (inf, inf), unknown, if a network or half of the
    bootstrap samples could not be judged.
    """
    means = _resampled_means(np.asarray(misfits, dtype=np.float64)[np.newaxis], again[np.newaxis], seed)
    return _span(*means[0]) if means else (math.inf, math.inf)


def ratio(misfits: ArrayLike, again: Array, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the ratio of two finalists' geometric means, the first over the second.

    It is paired: both are judged on the same bootstrap samples, so the luck of the rows that both share cancels, while
    the networks of each are resampled apart. As in `interval`, only the spread of the bootstrap is used. The interval
    is (0, inf), which excludes nothing, if a network or half of the bootstrap samples could not be judged.

    Args:
        misfits: `[2, R]`, of the networks of both.
        again: `[2, R, B]`, the same on bootstrap samples.
        seed: of the draws of networks.
    """
    means = _resampled_means(np.asarray(misfits, dtype=np.float64), again, seed)
    if not means:
        return 0.0, math.inf
    (first, first_again), (second, second_again) = means
    return _span(first - second, first_again - second_again)


def ties(misfits: ArrayLike, again: Array, able: Sequence[int], seed: int = 0) -> list[int]:
    """Return the places of finalists that can't be told from the best: 1 lies in the interval of their ratio to it.

    Args:
        misfits: `[k, R]`, of the networks of all finalists.
        again: `[k, R, B]`, the same on bootstrap samples.
        able: places that may win.
        seed: of the draws of networks.

    Returns:
        places of `able`, by their misfit; the first is the best.
    """
    found = np.asarray(misfits, dtype=np.float64)
    ordered = sorted(able, key=lambda place: float(np.log(found[place]).mean()))
    best = ordered[:1]
    pairs = [(place, [place, *best]) for place in ordered[1:]]
    return best + [place for place, pair in pairs if ratio(found[pair], again[pair], seed)[0] <= 1]


def _resampled_means(found: Array, again: Array, seed: int) -> list[tuple[float, Array]]:
    """Log of the geometric mean of misfits `[k, R]`, and of each bootstrap sample `[k, R, B]` that judges all of them.

    Each bootstrap sample draws networks, for each of the k apart. Empty if too little could be judged.
    """
    judged = np.all(np.isfinite(again) & (again > 0), axis=(0, 1))
    if not np.all(np.isfinite(found) & (found > 0)) or np.mean(judged) <= KNOWN:
        return []
    logs = np.log(again[:, :, judged])
    chosen = np.random.default_rng([seed, 8]).integers(logs.shape[1], size=logs.shape)
    means = np.take_along_axis(logs, chosen, axis=1).mean(1)
    return list(zip(np.log(found).mean(1).tolist(), means, strict=True))


def _span(found: float, again: Array) -> tuple[float, float]:
    low, high = np.exp(found + np.percentile(again - again.mean(), SPAN))
    return float(low), float(high)


def advantage(better: ArrayLike, other: ArrayLike, seed: int = 0) -> float:
    """Return the one-sided p-value of the lead of misfits `better` `[R]` over `other` `[S]`, by their geometric means.

    It is the share of relabellings with at least this lead, among all ways to deal the R + S networks out to both. If
    there are more than 20,000 ways, 20,000 random ones and the observed one are used. A network that could not be
    judged counts as the worst.
    """
    first, second = (np.asarray(misfits, dtype=np.float64) for misfits in (better, other))
    together = np.clip(np.log(np.fmax(np.concatenate([first, second]), np.finfo(np.float64).tiny)), -1e3, 1e3)
    total, size, count = together.sum(), len(first), len(first) + len(second)
    if math.comb(count, size) <= MOST_DEALS:
        sums = np.array([together[list(own)].sum() for own in itertools.combinations(range(count), size)])
    else:
        dealt = np.random.default_rng([seed, 9]).permuted(np.tile(together, (MOST_DEALS, 1)), axis=1)
        sums = np.concatenate([[together[:size].sum()], dealt[:, :size].sum(1)])
    gaps = sums / size - (total - sums) / len(second)
    return float(np.mean(gaps <= gaps[0] + 1e-12))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values of several comparisons, corrected for their number by Holm's step-down procedure.

    If none of the compared differ, the least corrected value is at most a given level as often as that level says, or
    less often.

    Examples:
        >>> holm([0.02, 0.5, 0.01])
        [0.04, 0.5, 0.03]
    """
    corrected, largest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected
