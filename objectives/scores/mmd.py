"""The maximum mean discrepancy with one Gaussian kernel: the deviation of the joint distribution.

Gretton, Borgwardt, Rasch, Schoelkopf and Smola (2012), A kernel two-sample test, eq. 3 (unbiased) and 5 (biased),
with k(a, b) = exp(-|a - b|^2 / r) and columns in standard deviations of the training rows. Scale and squared bandwidth
r belong to the problem: if they depended on the generated rows or on a batch, each configuration would be measured on
its own scale.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from objectives.scores.kernel import Kernel, Sample
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members


@final
class Mmd(Score):
    """Squared maximum mean discrepancy from the held rows; its positive form is the biased one.

    Columns are in deviations of the training rows.
    """

    ranking: ClassVar[bool] = True
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 1.0
    repeats: ClassVar[int] = 200

    def __init__(self, reference: Reference) -> None:
        self._scale = reference.scale
        held = self._scale(real_rows(reference.held))
        self._features = held.shape[1]
        self._known = _Known.of(held, reference.squared_bandwidth)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return True: any number of columns is served."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Return the discrepancy of each member `[pack]`."""
        both = score_members(generated, self._features, lambda members: _both(self._known, self._scale(members)))
        return Measure(*both)


def mmd(real: ArrayLike, generated: ArrayLike, squared_bandwidth: float) -> Array:
    """Return the unbiased MMD^2 `[*pack]` of samples `[*pack, m, d]` from real rows `[n, d]`; may be negative.

    Columns aren't rescaled. Needs O(n + m) time up to two columns, O(n^2 + n m + m^2) above, and little memory beside
    copies of its arguments.

    Raises:
        ValueError: shapes don't match, fewer than two rows, real rows that are not finite, or a bandwidth not
            above 0.
    """
    return np.asarray(_discrepancies(real, generated, squared_bandwidth)[0])


def mmd_biased(real: ArrayLike, generated: ArrayLike, squared_bandwidth: float) -> Array:
    """Return the biased MMD^2 `[*pack]`, never negative; otherwise as `mmd`."""
    return np.asarray(_discrepancies(real, generated, squared_bandwidth)[1])


@dataclass(frozen=True, eq=False, kw_only=True)
class _Known:
    """Quantities of the real rows, computed once for all generated ones."""

    kernel: Kernel
    sample: Sample
    within: float
    size: int

    @classmethod
    def of(cls, real: Array, squared_bandwidth: float) -> "_Known":
        kernel = Kernel.of(real, squared_bandwidth)
        sample = kernel.sample(real)
        return cls(kernel=kernel, sample=sample, within=kernel.sum_within(sample), size=len(real))


def _both(known: _Known, members: Array) -> Array:
    """Return unbiased and biased discrepancies `[2, members]` of samples `[members, m, d]`."""
    n, m, real_within = known.size, members.shape[1], known.within
    sums = np.empty((2, len(members)))
    for place, rows in enumerate(members):
        sample = known.kernel.sample(rows)
        sums[:, place] = known.kernel.sum_within(sample), known.kernel.sum(known.sample, sample)
    within, across = sums[0], sums[1] * (2.0 / (n * m))
    unbiased = (real_within - n) / (n * (n - 1)) + (within - m) / (m * (m - 1)) - across
    # Two equal samples leave a rounding error, which must not make the non-negative form negative.
    biased = np.maximum(real_within / n**2 + within / m**2 - across, 0.0)
    return np.stack([unbiased, biased])


def _discrepancies(real: ArrayLike, generated: ArrayLike, squared_bandwidth: float) -> Array:
    if not (np.isfinite(squared_bandwidth) and squared_bandwidth > 0.0):
        raise ValueError(f"squared_bandwidth = {squared_bandwidth}: expected a finite number above 0")
    rows = real_rows(real)
    return score_members(generated, rows.shape[1], partial(_both, _Known.of(rows, squared_bandwidth)))
