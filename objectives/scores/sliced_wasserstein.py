"""The sliced Wasserstein distance of order 1: the deviation of the joint distribution along 128 fixed directions.

Bonneel, Rabin, Peyre and Pfister (2015), Sliced and Radon Wasserstein barycenters of measures: the mean over directions
of the distance between the projections. The order is 1 because the noise of order 2 on heavy-tailed columns is that of
their few largest rows.
"""

from functools import partial
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from objectives.scores.quantiles import projection, quantile_distance
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members

DIRECTIONS = 128


@final
class SlicedWasserstein(Score):
    """Sliced Wasserstein distance from the held rows, columns in deviations of the training rows."""

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.5
    repeats: ClassVar[int] = 50

    def __init__(self, reference: Reference) -> None:
        self._scale = reference.scale
        self._real = self._scale(real_rows(reference.held))

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return True: any number of columns is served."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Return the distance of each member `[pack]`."""
        value = score_members(
            generated, self._real.shape[1], lambda members: _distances(self._real, self._scale(members))
        )
        return Measure(value, value)


def sliced_wasserstein(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the sliced Wasserstein-1 distance `[*pack]` of samples `[*pack, m, d]` from real rows `[n, d]`.

    Columns aren't rescaled. Needs O(n log n + m log m) time a direction. One column needs one direction, and gives
    `scipy.stats.wasserstein_distance`.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    return score_members(generated, rows.shape[1], partial(_distances, rows))


def _directions(features: int) -> Array:
    """Return unit vectors `[directions, d]`, uniform on the sphere and the same for every problem of d columns."""
    if features == 1:
        return np.ones((1, 1))
    normal = np.random.default_rng(0).standard_normal((DIRECTIONS, features))
    return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))


def _distances(real: Array, generated: Array) -> Array:
    """Return the distances `[members]` of samples `[members, m, d]`."""
    directions = _directions(real.shape[1])
    total = np.zeros(len(generated))
    for direction in directions:
        # The real rows are projected anew each time: all their projections would be 128 / d times as large as they are.
        projected = (np.sort(projection(rows, direction), axis=-1) for rows in (real, generated))
        total += quantile_distance(*projected)
    return np.asarray(total / len(directions))
