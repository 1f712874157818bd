"""Coverage: the share of held rows that have a generated row near them, which detects parts that are never generated.

Naeem, Oh, Uh, Choi and Yoo (2020), Reliable fidelity and diversity metrics for generative models. A held row is covered
if a generated row lies no farther from it than its k-th nearest held row, k = 5. The score is 1 - coverage. Between n
held and m rows of the same continuous distribution its mean is the probability that the k nearest of all other rows are
held ones,

    (n - 1) ... (n - k) / [(n + m - 1) ... (n + m - k)],

which for large n = m is 2^-k = 1/32. Copies of the training rows cover as real rows do: see `overfit`.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from objectives.scores.score import Array, Measure, Reference, Score, chosen_rows, real_rows, score_members

NEIGHBOURS = 5
MOST_ROWS = 4000
ROUNDING = 1e-9  # a copy of a row lies within its ball of radius 0


@final
class Coverage(Score):
    """Share of held rows without a generated row near them, columns in deviations of the training rows.

    Its `decay` is 0: between real samples of equal sizes it is 1/32 on the mean, however large they are.
    """

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.0
    repeats: ClassVar[int] = 100

    def __init__(self, reference: Reference) -> None:
        self._scale = reference.scale
        self._real = self._scale(real_rows(reference.held))
        self._balls = _balls(self._real)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return True: any number of columns is served."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Return the share of each member `[pack]`, in [0, 1]."""
        value = score_members(
            generated, self._real.shape[1], lambda members: _uncovered(*self._balls, self._scale(members))
        )
        return Measure(value, value)


def coverage(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the share `[*pack]` of real rows `[n, d]` that samples `[*pack, m, d]` don't cover.

    Columns aren't rescaled. Of each sample at most 4,000 rows count, a fixed random choice. Needs O(n d) memory, and
    O(n log n) time in few columns, O(n^2 d) in many.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    centres, radii = _balls(rows)
    return score_members(generated, rows.shape[1], lambda members: _uncovered(centres, radii, members))


def _balls(real: Array) -> tuple[Array, Array]:
    """Return centres `[rows, d]` and radii `[rows]`: the distance of the 5th neighbour, or of the last if fewer."""
    centres = _some(real)
    distances, _ = cKDTree(centres).query(centres, k=min(NEIGHBOURS, len(centres) - 1) + 1)
    return centres, np.asarray(distances)[:, -1]


def _uncovered(centres: Array, radii: Array, generated: Array) -> Array:
    """Return the shares `[members]` of samples `[members, m, d]`."""
    nearest = np.array([cKDTree(_some(sample)).query(centres)[0] for sample in generated]).reshape(-1, len(centres))
    return np.asarray((nearest > radii + ROUNDING).mean(axis=1))


def _some(rows: Array) -> Array:
    return chosen_rows(rows, MOST_ROWS) if len(rows) > MOST_ROWS else rows
