"""The mean squared logarithmic error of the upper tails, which detects margins without their largest values.

Anderson-Darling, Kendall and MMD hardly notice a generator that never exceeds the 98 % quantile of its margins. Per
column, over the order statistics above the real sample's quantile 0.95,

    W = mean_i (log y_(i) - log x_(i))^2

and the score is the mean of W over columns. For unequal sizes quantile functions replace order statistics. The score is
invariant under the unit of any column, and needs non-negative columns.
"""

from functools import partial
from math import log
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from objectives.scores.quantiles import quantile_cells
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members

QUANTILE = 0.95
LEAST_SHARE = 1e-6  # of the real value: smaller generated values, including 0 and below, count as this share


@final
class Tail(Score):
    """Error of the largest 5 % of each column against the held rows.

    Its `decay` is that of log(n) / n between 500 and 100,000 rows: the k-th largest value of a sample of any size has
    the same noise, of variance proportional to 1 / k, and a larger sample's mean is over more values.
    """

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.85
    repeats: ClassVar[int] = 200

    def __init__(self, reference: Reference) -> None:
        self._size = len(reference.held)
        self._largest = _log_largest(reference.held)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return whether all columns are at least 0 and have a positive quantile 0.95."""
        return bool((real >= 0.0).all() and (_largest(real) > 0.0).all())

    def __call__(self, generated: Array) -> Measure:
        """Return the error of each member `[pack]`."""
        errors = partial(_errors, self._largest, self._size)
        value = score_members(generated, self._largest.shape[1], errors)
        return Measure(value, value)


def tail(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the mean squared log error `[*pack]` of the upper tails of samples `[*pack, m, d]` from rows `[n, d]`.

    Generated values below the real ones add at most 191, since they count as at least a millionth of the real value.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite or that it can't serve.
    """
    rows = real_rows(real)
    return score_members(generated, rows.shape[1], partial(_errors, _log_largest(rows), len(rows)))


def _largest(real: Array) -> Array:
    """Return the sorted order statistics above the quantile, `[count, d]`."""
    return np.asarray(np.sort(real, axis=0)[int(QUANTILE * len(real)) :])


def _log_largest(real: Array) -> Array:
    if not Tail.serves(real):
        raise ValueError(f"real rows with negative values, or a quantile {QUANTILE} of 0: expected positive tails")
    return np.asarray(np.log(_largest(real)))


def _errors(largest: Array, n: int, generated: Array) -> Array:
    """Return errors `[members]` of samples `[members, m, d]` from the logarithms of the largest of `n` real rows."""
    first = n - len(largest)
    rank, other, widths = quantile_cells(n, generated.shape[1])
    above = rank >= first
    weights = widths[above] / widths[above].sum()
    total = np.zeros(len(generated))
    for column, real in enumerate(largest.T):
        values = np.take(np.sort(generated[:, :, column], axis=1), other[above], axis=1)
        gaps = np.log(np.maximum(values, np.finfo(np.float64).tiny)) - np.take(real, rank[above] - first)
        total += (np.maximum(gaps, log(LEAST_SHARE)) ** 2 * weights).sum(axis=1)
    return np.asarray(total / largest.shape[1])
