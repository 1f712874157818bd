"""The energy distance: the deviation of the joint distribution by distances between rows, without a bandwidth.

Szekely and Rizzo (2013), Energy statistics: a class of statistics based on distances:

    energy = 2 E|X - Y| - E|X - X'| - E|Y - Y'|

In one dimension it is the square of `scipy.stats.energy_distance`.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from objectives.scores.pairs import pair_sum, pair_sum_within
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members


@final
class Energy(Score):
    """Energy distance, columns in deviations of the training rows; its positive form is the biased one."""

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 1.0
    repeats: ClassVar[int] = 200

    def __init__(self, reference: Reference) -> None:
        self._scale = reference.scale
        self._real = self._scale(real_rows(reference.held))
        self._within = pair_sum_within(self._real, _distance_sum)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return True: any number of columns is served."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Return the distance of each member `[pack]`."""
        both = score_members(
            generated, self._real.shape[1], lambda members: _both(self._real, self._within, self._scale(members))
        )
        return Measure(*both)


def energy(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the unbiased energy distance `[*pack]` of samples `[*pack, m, d]` from rows `[n, d]`; may be negative.

    Columns aren't rescaled. Needs O(n^2 + n m + m^2) time and less than 10 MB beside its arguments.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    return np.asarray(_energies(real, generated)[0])


def energy_biased(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the energy distance `[*pack]` as a V-statistic, never negative; otherwise as `energy`."""
    return np.asarray(_energies(real, generated)[1])


def _distance_sum(first: Array, second: Array, distances: Array) -> float:
    cdist(first, second, out=distances)
    return float(distances.sum())


def _both(real: Array, real_within: float, generated: Array) -> Array:
    """Return unbiased and biased distances `[2, members]` of samples `[members, m, d]`."""
    n, m = len(real), generated.shape[1]
    within = np.array([pair_sum_within(sample, _distance_sum) for sample in generated])
    across = np.array([pair_sum(real, sample, _distance_sum) for sample in generated]) * (2.0 / (n * m))
    unbiased = across - real_within / (n * (n - 1)) - within / (m * (m - 1))
    # Two equal samples leave a rounding error, which must not make the non-negative form negative.
    biased = np.maximum(across - real_within / n**2 - within / m**2, 0.0)
    return np.stack([unbiased, biased])


def _energies(real: ArrayLike, generated: ArrayLike) -> Array:
    rows = real_rows(real)
    within = pair_sum_within(rows, _distance_sum)
    return score_members(generated, rows.shape[1], lambda members: _both(rows, within, members))
