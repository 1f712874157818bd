"""The mean error of the pairwise Kendall correlations, which `kendall`, one curve for all columns, can't tell apart.

Kendall (1938), A new measure of rank correlation; with ties as in Kendall (1945), The treatment of ties (tau-b).
The error is the mean over pairs of columns of |tau - tau~|; a constant column has tau 0 with every other. Above 20
columns the mean is over 190 pairs, the number of pairs of 20 columns, because the cost grows with the square.
"""

from collections.abc import Sequence
from itertools import combinations
from math import sqrt
from typing import ClassVar, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives.scores.dominance import TILE, below_sets, sizes
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members

Pairs: TypeAlias = Sequence[tuple[int, int]]

MOST_PAIRS = 190


@final
class TauError(Score):
    """Deviation of the dependence of each pair of columns from that of the held rows.

    It enters misfit in place of `kendall` where that has a floor of 0: of many columns no row exceeds another in all.
    """

    ranking: ClassVar[bool] = False
    ranks_for: ClassVar[str | None] = "kendall"
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.5
    repeats: ClassVar[int] = 100

    def __init__(self, reference: Reference) -> None:
        self._features = reference.held.shape[1]
        order = reference.scale.order
        self._pairs = [(int(order[one]), int(order[other])) for one, other in pairs_of(self._features)]
        self._real = pair_tau(real_rows(reference.held), self._pairs)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return whether there are two columns or more."""
        return bool(real.shape[1] >= 2)

    def __call__(self, generated: Array) -> Measure:
        """Return the error of each member `[pack]`, in [0, 2]."""
        value = score_members(generated, self._features, lambda members: _errors(self._real, members, self._pairs))
        return Measure(value, value)


def tau_error(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the mean absolute error `[*pack]` of the pairwise tau of samples `[*pack, m, d]` from real rows `[n, d]`.

    It is invariant under an increasing map of any column. Needs O(d^2 (n log n + m log m)) time up to 20 columns, and
    above that as much as for 20.

    Raises:
        ValueError: shapes don't match, fewer than two rows or columns, or real rows that are not finite.
    """
    rows = real_rows(real)
    if rows.shape[1] < 2:
        raise ValueError("1 column: expected at least 2")
    pairs = pairs_of(rows.shape[1])
    known = pair_tau(rows, pairs)
    return score_members(generated, rows.shape[1], lambda members: _errors(known, members, pairs))


def pairs_of(features: int) -> Pairs:
    """Return the pairs of columns that the error averages over: all, or a fixed random choice of 190."""
    pairs = list(combinations(range(features), 2))
    if len(pairs) <= MOST_PAIRS:
        return pairs
    return [pairs[place] for place in sorted(np.random.default_rng(0).choice(len(pairs), MOST_PAIRS, replace=False))]


def pair_tau(rows: Array, pairs: Pairs | None = None) -> Array:
    """Return Kendall's tau-b of pairs of columns (all if None) of rows `[n, d]`; 0 if a column is constant."""
    columns = np.ascontiguousarray(rows.T)
    pairs = list(combinations(range(len(columns)), 2)) if pairs is None else pairs
    if len(rows) > TILE:
        from scipy import stats

        taus = [stats.kendalltau(columns[k], columns[j]).statistic for k, j in pairs]
        return np.nan_to_num(np.array(taus, dtype=np.float64))
    used = sorted({column for pair in pairs for column in pair})
    sets = {column: below_sets(columns[column]) for column in used}
    tied = {column: _tied_pairs(columns[column]) for column in used}
    ranks = {column: np.unique(columns[column], return_inverse=True)[1] for column in used if tied[column]}
    found: list[float] = []
    for k, j in pairs:
        tied_in_both = _tied_pairs(ranks[k] * len(rows) + ranks[j]) if tied[k] and tied[j] else 0
        found.append(_tau(int(sizes(sets[k] & sets[j]).sum()), tied[k], tied[j], tied_in_both, size=len(rows)))
    return np.array(found)


def _tau(concordant: int, tied: int, other_tied: int, tied_in_both: int, *, size: int) -> float:
    pairs = size * (size - 1) // 2
    apart, other_apart = pairs - tied, pairs - other_tied
    if not (apart and other_apart):
        return 0.0
    discordant = apart - other_tied + tied_in_both - concordant
    # scipy rounds the same way, and serves larger samples.
    return max(-1.0, min(1.0, float(concordant - discordant) / sqrt(apart) / sqrt(other_apart)))


def _tied_pairs(values: Array | NDArray[np.int64]) -> int:
    """Return the number of pairs of equal `values` `[n]`."""
    ordered = np.sort(values)
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    runs = np.diff(starts, prepend=0, append=len(ordered))
    return int((runs * (runs - 1) // 2).sum())


def _errors(real: Array, generated: Array, pairs: Pairs) -> Array:
    return np.array([np.abs(pair_tau(sample, pairs) - real).mean() for sample in generated])
