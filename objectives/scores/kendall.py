"""The absolute Kendall error: how far the dependence between columns is from the real one, whatever the margins.

Genest and Rivest (1993), Statistical inference procedures for bivariate Archimedean copulas: the Kendall function is
the distribution of R_i = #{j : X_j < X_i in every coordinate} / (n - 1). The error is the Wasserstein-1 distance
between the values of R of both samples; for equally many rows the mean |R_(i) - R~_(i)|, both SORTED first.
In the plane and without ties, Kendall's tau is 4 mean(R) - 1.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives.scores.quantiles import quantile_distance
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members

TILE = 2048
BLOCK = 512


@final
class Kendall(Score):
    """Misfit of the dependence, against the held rows."""

    ranking: ClassVar[bool] = True
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.5
    repeats: ClassVar[int] = 200

    def __init__(self, reference: Reference) -> None:
        held = real_rows(reference.held)
        self._features = held.shape[1]
        self._sorted = _sorted_shares(held)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Two columns or more: one has no dependence to get wrong."""
        return bool(real.shape[1] >= 2)

    def __call__(self, generated: Array) -> Measure:
        """Error of each member `[pack]`, in [0, 1/2]."""
        value = score_members(generated, self._features, lambda members: _errors(self._sorted, members))
        return Measure(value, value)


def kendall(real: ArrayLike, generated: ArrayLike) -> Array:
    """Absolute Kendall error `[*pack]` of samples `[*pack, m, d]` from real rows `[n, d]`, in [0, 1/2].

    Unchanged by an increasing map of any column. One column without ties scores 0 for n = m. Exact; needs
    O(d (n^2 + m^2) / 64) time and less than 50 MB beside its arguments at n = m = 100,000 and d = 4.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    known = _sorted_shares(rows)
    return score_members(generated, rows.shape[1], lambda members: _errors(known, members))


def dominated(rows: Array) -> NDArray[np.int64]:
    """How many rows lie strictly below each row in every column, `[n]` for rows `[n, d]`; ties dominate nothing.

    The rows below a value in one column are a prefix of that column's order. With prefixes as bit sets, the rows below
    in every column are the bitwise AND of d words for each 64 rows.
    """
    count, columns = rows.shape
    order = np.argsort(rows[:, 0], kind="stable")
    ordered = rows[order]
    below = np.zeros(count, dtype=np.int64)
    for start in range(0, count, TILE):
        tile = ordered[start : start + TILE]
        prefixes = [_prefix_sets(tile[:, column]) for column in range(columns)]
        sorted_tile = np.sort(tile, axis=0)
        # Blocks before the tile hold no row above it, since rows come in the order of the first column.
        for first in range(start, count, BLOCK):
            block = ordered[first : first + BLOCK]
            common = prefixes[0][np.searchsorted(sorted_tile[:, 0], block[:, 0])]
            for column in range(1, columns):
                common &= prefixes[column][np.searchsorted(sorted_tile[:, column], block[:, column])]
            below[first : first + BLOCK] += np.bitwise_count(common).sum(axis=1, dtype=np.int64)
    counts = np.empty_like(below)
    counts[order] = below
    return counts


def _prefix_sets(values: Array) -> NDArray[np.uint64]:
    """Bit sets `[t + 1, words]` of t values: row p has the bits of the p smallest."""
    size = len(values)
    order = np.argsort(values, kind="stable")
    sets = np.zeros((size + 1, -(-size // 64)), dtype=np.uint64)
    sets[np.arange(1, size + 1), order // 64] = np.uint64(1) << (order % 64).astype(np.uint64)
    np.bitwise_or.accumulate(sets, axis=0, out=sets)
    return sets


def _sorted_shares(rows: Array) -> Array:
    return np.sort(dominated(rows) / (len(rows) - 1))


def _errors(real: Array, generated: Array) -> Array:
    """Wasserstein-1 distances `[members]` of the shares of samples `[members, m, d]` from sorted real ones `[n]`."""
    shares = np.array([_sorted_shares(sample) for sample in generated]).reshape(-1, generated.shape[1])
    return quantile_distance(real, shares)
