"""Sums the Gaussian kernel k(a, b) = exp(-|a - b|^2 / r) over all pairs of rows, exact to rounding.

Rows near the centre of the real rows use fast formulas that would cancel, or not converge, for rows far out: Fourier
coefficients up to two columns, and above them tiles of pairs with |a - b|^2 = |a|^2 + |b|^2 - 2ab. The few far rows use
differences.
"""

from dataclasses import dataclass
from functools import reduce
from math import sqrt

import numpy as np
import torch
from scipy.spatial.distance import cdist

from objectives.scores.fourier import BOX, MOST_COLUMNS, coefficients
from objectives.scores.pairs import pair_sum, pair_sum_within
from objectives.scores.score import Array
from objectives.scores.threads import one_thread

BALL = 8.0  # the rounding of an exponent is below 4 * 8^2 * (d + 4) * 2^-53 in it: 2e-13 at d = 4
UNDERFLOW = -700.0  # exp takes a hundred times as long if its result is a subnormal number
REACH = sqrt(-UNDERFLOW)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample:
    """Rows prepared for a kernel: `near` and `far` `[rows, d]`, and `prepared`, the input of sums over near rows.

    `reaching` are the far rows whose kernel with a near row may not underflow.
    """

    near: Array
    far: Array
    reaching: Array
    prepared: Array


@dataclass(frozen=True, eq=False)
class Kernel:
    """Gaussian kernel of `squared_bandwidth`; it is fast for rows near the `centre` `[d]`, and exact everywhere."""

    centre: Array
    squared_bandwidth: float

    @classmethod
    def of(cls, real: Array, squared_bandwidth: float) -> "Kernel":
        """Return the kernel with its centre at the median of real rows `[n, d]`."""
        return cls(np.median(real, axis=0), squared_bandwidth)

    @one_thread()
    def sample(self, rows: Array) -> Sample:
        """Prepare rows `[n, d]` for any number of sums."""
        with np.errstate(over="ignore"):
            scaled = (rows - self.centre) / sqrt(self.squared_bandwidth)
            # Column by column: numpy's reductions over a short last axis take several times as long.
            if self._fourier:
                distance, limit = reduce(np.maximum, np.abs(scaled.T)), BOX
            else:
                distance, limit = np.sqrt(sum(column**2 for column in scaled.T)), BALL
        near = distance <= limit
        reaching = ~near & (distance <= limit + REACH)
        return Sample(near=rows[near], far=rows[~near], reaching=rows[reaching], prepared=self._prepared(scaled[near]))

    @one_thread()
    def sum(self, first: Sample, second: Sample) -> float:
        """Return the sum over all pairs of a row of `first` and one of `second`."""
        if self._fourier:
            near = float((first.prepared * second.prepared).sum())
        else:
            near = pair_sum(first.prepared, second.prepared, _near_tile)
        return (
            near
            + pair_sum(first.near, second.reaching, self._far_tile)
            + pair_sum(first.reaching, second.near, self._far_tile)
            + pair_sum(first.far, second.far, self._far_tile)
        )

    @one_thread()
    def sum_within(self, sample: Sample) -> float:
        """Return the sum over all ordered pairs of rows, including each row with itself."""
        prepared = sample.prepared
        near = float((prepared**2).sum()) if self._fourier else pair_sum_within(prepared, _near_tile)
        across = pair_sum(sample.near, sample.reaching, self._far_tile)
        return near + 2.0 * across + pair_sum_within(sample.far, self._far_tile)

    @property
    def _fourier(self) -> bool:
        return len(self.centre) <= MOST_COLUMNS

    def _prepared(self, near: Array) -> Array:
        return coefficients(near) if self._fourier else _expansion(near)

    def _far_tile(self, first: Array, second: Array, room: Array) -> float:
        cdist(first, second, "sqeuclidean", out=room)
        exponents = torch.from_numpy(room)
        return _exp_sum(exponents.div_(-self.squared_bandwidth).clamp_(min=UNDERFLOW))


def _expansion(near: Array) -> Array:
    """Return halves `[n, 2 (d + 2)]`: the inner product of a row's first and another's second is -|a - b|^2."""
    square, one = (near**2).sum(axis=1, keepdims=True), np.ones((len(near), 1))
    return np.concatenate([2.0 * near, -square, one, near, one, -square], axis=1)


def _near_tile(first: Array, second: Array, room: Array) -> float:
    half = first.shape[1] // 2
    exponents = torch.from_numpy(room)
    torch.mm(torch.from_numpy(first)[:, :half], torch.from_numpy(second)[:, half:].T, out=exponents)
    return _exp_sum(exponents)


def _exp_sum(exponents: torch.Tensor) -> float:
    return float(exponents.exp_().sum())
