"""The mean squared error of the tails, which detects margins without their largest values.

Anderson-Darling, Kendall and MMD hardly notice a generator that never exceeds the 98 % quantile of its margins. Per
column, over the order statistics above the real sample's quantile 0.95,

    W = mean_i (f(y_(i)) - f(x_(i)))^2

with f the logarithm, if no training row of the column is negative: then the largest values alone are a tail, and the
error is that of their ratio. Any other column has two tails, the order statistics above quantile 0.95 and as many below
quantile 0.05, and f = asinh(z) for z in deviations from the mean of the training rows: nearly linear near the mean, and
in the far tails the logarithm of a ratio again, so that a few largest values of heavy tails don't decide alone. The
score is the mean of W over columns. For unequal sizes quantile functions replace order statistics. No unit matters.
"""

from dataclasses import dataclass
from functools import partial
from math import log
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives.scores.quantiles import quantile_cells
from objectives.scores.score import FARTHEST, Array, Measure, Reference, Scale, Score, real_rows, score_members

QUANTILE = 0.95
LEAST_SHARE = 1e-6  # of the real value: smaller generated values, including 0 and below, count as this share


@final
class Tail(Score):
    """Error of the largest 5 % of each column against the held rows, and of the smallest where values are negative.

    Its `decay` is that of log(n) / n between 500 and 100,000 rows: the k-th largest value of a sample of any size has
    the same noise, of variance proportional to 1 / k, and a larger sample's mean is over more values.
    """

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.85
    repeats: ClassVar[int] = 200

    def __init__(self, reference: Reference) -> None:
        self._known = _Known.of(real_rows(reference.held), reference.scale)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return True: columns of any sign are served."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Return the error of each member `[pack]`."""
        value = score_members(generated, len(self._known.ratios), partial(_errors, self._known))
        return Measure(value, value)


def tail(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the mean squared error `[*pack]` of the tails of samples `[*pack, m, d]` from real rows `[n, d]`.

    The real rows are also those that say which columns have no negative value, and give mean and deviation of others.
    Generated values below positive real ones add at most 191, since they count as at least a millionth of them.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    return score_members(generated, rows.shape[1], partial(_errors, _Known.of(rows, Scale.of(rows))))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Known:
    """Number of the real rows, and their upper and lower tails `[count, d]`, largest and smallest values last."""

    size: int
    upper: Array
    lower: Array
    ratios: NDArray[np.bool_]
    scale: Scale

    @classmethod
    def of(cls, real: Array, scale: Scale) -> "_Known":
        ordered, count = np.sort(real, axis=0), len(real) - int(QUANTILE * len(real))
        # A column with hardly a value above 0 has no ratios; it may be one in a floor's draw and not in the next.
        ratios = scale.positive & (ordered[-count] > 0.0)
        return cls(size=len(real), upper=ordered[-count:], lower=ordered[count - 1 :: -1], ratios=ratios, scale=scale)


def _errors(known: _Known, generated: Array) -> Array:
    """Return errors `[members]` of samples `[members, m, d]`."""
    count = len(known.upper)
    first = known.size - count
    rank, other, widths = quantile_cells(known.size, generated.shape[1])
    tails = rank >= first
    rank, other, weights = rank[tails] - first, other[tails], widths[tails] / widths[tails].sum()
    total = np.zeros(len(generated))
    for column, ratios in enumerate(known.ratios):
        values = np.sort(generated[:, :, column], axis=1)
        upper, real = np.take(values, other, axis=1), np.take(known.upper[:, column], rank)
        if ratios:
            total += (_log_ratios(upper, real) ** 2 * weights).sum(axis=1)
            continue
        unit = partial(_units, known.scale, column)
        # Negated, the smallest values are the largest, whose places are those of the upper tail.
        lower = np.take(values, generated.shape[1] - 1 - other, axis=1)
        for made, held in ((upper, real), (lower, np.take(known.lower[:, column], rank))):
            total += ((unit(made) - unit(held)) ** 2 * weights).sum(axis=1) / 2
    return np.asarray(total / len(known.ratios))


def _log_ratios(values: Array, real: Array) -> Array:
    logs = np.log(np.maximum(values, np.finfo(np.float64).tiny)) - np.log(real)
    return np.asarray(np.maximum(logs, log(LEAST_SHARE)))


def _units(scale: Scale, column: int, values: Array) -> Array:
    with np.errstate(over="ignore"):
        standard = (values - scale.mean[column]) / scale.deviation[column]
    return np.asarray(np.arcsinh(np.clip(standard, -FARTHEST, FARTHEST)))
