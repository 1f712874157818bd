"""The maximum mean discrepancy with one Gaussian kernel: misfit of the joint law, margins and dependence together.

Gretton, Borgwardt, Rasch, Schoelkopf and Smola (2012), A kernel two-sample test, eq. 3 (unbiased) and 5 (biased),
with k(a, b) = exp(-|a - b|^2 / r). The ruler r belongs to the problem: one that moved with the generated rows, or with
a batch, would measure every configuration on a scale of its own.
"""

from functools import partial
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from objectives.scores.pairs import pair_sum, pair_sum_within
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members


@final
class Mmd(Score):
    """Misfit of the joint law, against the held rows; its positive form is the biased one."""

    ranking: ClassVar[bool] = True
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 1.0
    repeats: ClassVar[int] = 200

    def __init__(self, reference: Reference) -> None:
        self._ruler = reference.ruler
        self._real = real_rows(reference.held)
        self._within = kernel_sum_within(self._real, self._ruler)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Any number of columns."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Discrepancy of each member `[pack]`."""
        return Measure(*_both(self._real, self._within, generated, self._ruler))


def mmd(real: ArrayLike, generated: ArrayLike, ruler: float) -> Array:
    """Unbiased squared discrepancy `[*pack]` of samples `[*pack, m, d]` from real rows `[n, d]`; may be negative.

    Needs O(n^2 + n m + m^2) time and less than 10 MB beside its arguments at any size.

    Raises:
        ValueError: shapes don't match, fewer than two rows, real rows that are not finite, or a ruler not above 0.
    """
    return np.asarray(_discrepancies(real, generated, ruler)[0])


def mmd_biased(real: ArrayLike, generated: ArrayLike, ruler: float) -> Array:
    """Biased squared discrepancy `[*pack]`, never negative; otherwise as `mmd`."""
    return np.asarray(_discrepancies(real, generated, ruler)[1])


def kernel_sum(first: Array, second: Array, ruler: float) -> float:
    """Sum of the kernel over all pairs of a row of `first` `[n, d]` and one of `second` `[m, d]`."""
    return pair_sum(first, second, partial(_tile_sum, ruler))


def kernel_sum_within(rows: Array, ruler: float) -> float:
    """Sum of the kernel over all ordered pairs of rows `[n, d]`, each row with itself included."""
    return pair_sum_within(rows, partial(_tile_sum, ruler))


def _tile_sum(ruler: float, first: Array, second: Array, kernel: Array) -> float:
    # Differences, not the expansion |a|^2 + |b|^2 - 2ab: that one cancels for far outliers, which poor generators make.
    cdist(first, second, "sqeuclidean", out=kernel)
    kernel /= -ruler
    np.exp(kernel, out=kernel)
    return float(kernel.sum())


def _both(real: Array, real_within: float, generated: ArrayLike, ruler: float) -> Array:
    """Unbiased and biased discrepancies `[2, *pack]`."""
    n = len(real)

    def discrepancies(members: Array) -> Array:
        m = members.shape[1]
        within = np.array([kernel_sum_within(sample, ruler) for sample in members])
        across = np.array([kernel_sum(real, sample, ruler) for sample in members]) * (2.0 / (n * m))
        unbiased = (real_within - n) / (n * (n - 1)) + (within - m) / (m * (m - 1)) - across
        # Two equal samples leave a rounding error, which must not turn a never-negative form negative.
        biased = np.maximum(real_within / n**2 + within / m**2 - across, 0.0)
        return np.stack([unbiased, biased])

    return score_members(generated, real.shape[1], discrepancies)


def _discrepancies(real: ArrayLike, generated: ArrayLike, ruler: float) -> Array:
    if not (np.isfinite(ruler) and ruler > 0.0):
        raise ValueError(f"ruler = {ruler}: expected a finite number above 0")
    rows = real_rows(real)
    return _both(rows, kernel_sum_within(rows, ruler), generated, ruler)
