"""The share of generated rows that lie nearer to a training row than to any unseen row: a test for memorising.

After Meehan, Chaudhuri and Dasgupta (2020), A non-parametric test to detect data-copying in generative models. An
honest generator scores 1/2, one that copies its training rows near 1. The score doesn't rank, but it checks the
ranking: copies of the training rows win by every distance to the held rows.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from objectives.scores.score import Array, Measure, Reference, Scale, Score, chosen_rows, real_rows, score_members

TIED = 1e-9  # equal distances between whole numbers differ by rounding once they are in deviations
LEAF = 32  # rows of a leaf: queries take a fifth longer at 16, and at 64


@final
class Overfit(Score):
    """Share of generated rows nearest to a training row, between training and held rows of equal number."""

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.5
    decay: ClassVar[float] = 0.5
    repeats: ClassVar[int] = 200

    def __init__(self, reference: Reference) -> None:
        train, held = real_rows(reference.train), real_rows(reference.held)
        self._scale = reference.scale
        self._features, self._size = train.shape[1], min(len(train), len(held))
        splits = [_some(self._scale(rows), self._size) for rows in (train, held)]
        self._tree = cKDTree(np.concatenate(splits), leafsize=LEAF)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return True: any number of columns is served."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Return the share of each member `[pack]`, in [0, 1]."""
        value = score_members(generated, self._features, self._shares)
        return Measure(value, value)

    def _shares(self, members: Array) -> Array:
        rows = self._scale(members).reshape(-1, self._features)
        distances, nearest = (np.asarray(found) for found in self._tree.query(rows, k=2))
        nearer = (nearest[:, 0] < self._size).astype(np.float64)
        # Two equally near rows may have more beside them, and be of either split.
        tied = np.flatnonzero(distances[:, 1] <= distances[:, 0] + TIED)
        if len(tied):
            nearer[tied] = self._ties(rows[tied])
        return np.asarray(nearer.reshape(members.shape[:2]).mean(axis=1))

    def _ties(self, rows: Array) -> Array:
        points = self._tree.data
        splits = (points[: self._size], points[self._size :])
        to_train, to_held = (np.asarray(cKDTree(split, leafsize=LEAF).query(rows)[0]) for split in splits)
        return np.asarray((to_train < to_held - TIED) + 0.5 * (abs(to_train - to_held) <= TIED))


def overfit(train: ArrayLike, held: ArrayLike, generated: ArrayLike) -> Array:
    """Return the share `[*pack]` of samples `[*pack, m, d]` nearer to `train` `[n, d]` than to `held` `[k, d]`.

    Ties count 1/2. Columns are in standard deviations of the training rows. The larger split is cut by a
    fixed random choice, so that both are equally large. Needs less than 100 MB beside its arguments at 100,000 rows
    each and d = 4.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    known, unseen = real_rows(train), real_rows(held)
    if known.shape[1] != unseen.shape[1]:
        raise ValueError(f"train has {known.shape[1]} columns and held {unseen.shape[1]}: expected the same")
    reference = Reference(train=known, held=unseen, scale=Scale.of(known), squared_bandwidth=1.0)
    return Overfit(reference)(np.asarray(generated)).value


def _some(rows: Array, size: int) -> Array:
    return rows if len(rows) == size else chosen_rows(rows, size)
