"""The absolute Kendall error: the deviation of the dependence between columns, whatever the margins.

Genest and Rivest (1993), Statistical inference procedures for bivariate Archimedean copulas: the Kendall function is
the distribution of R_i = #{j : X_j < X_i in every coordinate} / (n - 1). The error is the Wasserstein-1 distance
between the values of R of both samples. For equally many rows it is the mean |R_(i) - R~_(i)|, both SORTED first.
In the plane and without ties, Kendall's tau is 4 mean(R) - 1.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from objectives.scores.dominance import dominated
from objectives.scores.quantiles import quantile_distance
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members


@final
class Kendall(Score):
    """Kendall error: deviation of the dependence from that of the held rows."""

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
        """Return whether there are two columns or more, since one column has no dependence."""
        return bool(real.shape[1] >= 2)

    def __call__(self, generated: Array) -> Measure:
        """Return the error of each member `[pack]`, in [0, 1/2]."""
        value = score_members(generated, self._features, lambda members: _errors(self._sorted, members))
        return Measure(value, value)


def kendall(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the absolute Kendall error `[*pack]` of samples `[*pack, m, d]` from real rows `[n, d]`, in [0, 1/2].

    It is invariant under an increasing map of any column. One column without ties scores 0 for n = m. The result is
    exact; it needs O(d (n^2 + m^2) / 64) time and less than 50 MB beside its arguments at n = m = 100,000 and d = 4.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    known = _sorted_shares(rows)
    return score_members(generated, rows.shape[1], lambda members: _errors(known, members))


def _sorted_shares(rows: Array) -> Array:
    return np.sort(dominated(rows) / (len(rows) - 1))


def _errors(real: Array, generated: Array) -> Array:
    """Return Wasserstein-1 distances `[members]` of samples' shares `[members, m, d]` from sorted real ones `[n]`."""
    shares = np.array([_sorted_shares(sample) for sample in generated]).reshape(-1, generated.shape[1])
    return quantile_distance(real, shares)
