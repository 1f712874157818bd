"""The exact Wasserstein distance of order 1: the least mean distance to move one sample onto another.

Villani (2009), Optimal transport, definition 6.1; between equally many rows it is a linear assignment. The order is 1,
as in `sliced_wasserstein`. It detects every deviation of the joint distribution, but also the noise of a finite sample,
which shrinks only as n^(-1/d): compare it with its floor.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from objectives.scores.score import Array, Measure, Reference, Score, chosen_rows, real_rows, score_members

MOST_ROWS = 1000


@final
class Wasserstein(Score):
    """Wasserstein distance from the held rows, columns in deviations of the training rows.

    Its `decay` is 0: larger samples are cut to 1,000 rows, so their floors don't shrink.
    """

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.0
    repeats: ClassVar[int] = 20

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


def wasserstein(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the Wasserstein-1 distance `[*pack]` of samples `[*pack, m, d]` from real rows `[n, d]`.

    Columns aren't rescaled. Of both samples min(n, m, 1000) rows count, a fixed random choice. Needs O(rows^3) time at
    worst and O(rows^2) memory.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    return score_members(generated, rows.shape[1], lambda members: _distances(rows, members))


def _distances(real: Array, generated: Array) -> Array:
    """Return the distances `[members]` of samples `[members, m, d]`."""
    size = min(len(real), generated.shape[1], MOST_ROWS)
    some = chosen_rows(real, size)
    return np.array([_assignment(some, chosen_rows(sample, size)) for sample in generated])


def _assignment(first: Array, second: Array) -> float:
    from scipy.optimize import linear_sum_assignment

    distances = cdist(first, second)
    return float(distances[linear_sum_assignment(distances)].mean())
