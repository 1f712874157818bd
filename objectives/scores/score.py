"""The base of all scores: the real rows they compare with, and the treatment of a pack of generated samples.

Axes: n real rows, m generated rows, d columns; generated samples are `[pack, m, d]`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

Array: TypeAlias = NDArray[np.float64]

RULER_ROWS = 2000
GROUP_VALUES = 2**20
FARTHEST = 1e6
DECIMALS = 9


@dataclass(frozen=True, eq=False, kw_only=True)
class Scale:
    """Mean and standard deviation of each column of the training rows, `[d]`, and an `order` of the columns.

    A constant column keeps its unit. `positive` says which columns have no negative value. The order follows from the
    rows alone, by E[z |z|^2] of each column z in deviations, so that fixed random directions, pairs and portfolios meet
    the same columns however a file lists them.
    """

    mean: Array
    deviation: Array
    positive: NDArray[np.bool_]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, train: Array) -> "Scale":
        """Return the scale of training rows `[n, d]`."""
        rows = real_rows(train)
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        # Not where the deviation is 0: rounding leaves a little of it in a column of equal values.
        deviation = np.where(rows.min(axis=0) < rows.max(axis=0), deviation, 1.0)
        standard = (rows - mean) / deviation
        order = np.argsort(standard.T @ (standard**2).sum(axis=1))
        return cls(mean=mean, deviation=deviation, positive=rows.min(axis=0) >= 0.0, order=order)

    def __call__(self, rows: Array) -> Array:
        """Return rows `[..., d]` in deviations from the mean, cut at a million so that they stay finite, in order."""
        with np.errstate(over="ignore"):
            standard = (rows - self.mean) / self.deviation
        return np.clip(standard[..., self.order], -FARTHEST, FARTHEST)


@dataclass(frozen=True, eq=False, kw_only=True)
class Reference:
    """Rows to compare with: `train` `[n, d]`, and `held` `[m, d]` never trained on.

    `scale` is the unit of distances, and `squared_bandwidth` MMD's, in that unit. Both belong to the problem: floors
    keep them, though they draw other rows.
    """

    train: Array
    held: Array
    scale: Scale
    squared_bandwidth: float

    @classmethod
    def of(cls, train: ArrayLike, held: ArrayLike, seed: int = 0) -> "Reference":
        """Return the reference with the scale and the bandwidth of these training rows.

        Raises:
            ValueError: a split is not finite `[rows >= 2, d]`, widths differ, or all training rows are equal.
        """
        known, unseen = real_rows(train), real_rows(held)
        if known.shape[1] != unseen.shape[1]:
            raise ValueError(f"train has {known.shape[1]} columns and held {unseen.shape[1]}: expected the same")
        scale = Scale.of(known)
        return cls(train=known, held=unseen, scale=scale, squared_bandwidth=squared_bandwidth(scale(known), seed))


@dataclass(frozen=True, eq=False)
class Measure:
    """A score of each member of a pack, `[pack]`: its `value`, and a `positive` form that is never below zero."""

    value: Array
    positive: Array


class Score(ABC):
    """A distance between generated and held-out rows, lower is better; it keeps what depends on real rows alone.

    `ranking` says whether it enters misfit, and `ranks_for` names a score in whose place it does where that one can't,
    because even real samples score 0. Between real samples of n rows it lies near `limit`, and its deviations
    from there shrink as `n ** -decay`: floors of large samples are computed at a smaller size and extrapolated by that
    law. A floor takes at most `repeats` draws, few if the score is costly.
    """

    ranking: ClassVar[bool]
    ranks_for: ClassVar[str | None] = None
    limit: ClassVar[float]
    decay: ClassVar[float]
    repeats: ClassVar[int]

    @abstractmethod
    def __init__(self, reference: Reference) -> None: ...

    @classmethod
    @abstractmethod
    def serves(cls, real: Array) -> bool:
        """Return whether the score is meaningful for real rows `[n, d]` like these."""

    @abstractmethod
    def __call__(self, generated: Array) -> Measure:
        """Measure a pack `[pack, m, d]`; a member that is not finite measures nan and doesn't affect others.

        Raises:
            ValueError: the pack has another number of columns, or fewer than two rows.
        """


def real_rows(rows: ArrayLike) -> Array:
    """Return real rows as float64 `[n, d]`.

    Raises:
        ValueError: there are fewer than two rows, no columns, another number of axes, or values that are not finite.
    """
    checked = np.asarray(rows, dtype=np.float64)
    if checked.ndim != 2 or checked.shape[0] < 2 or checked.shape[1] < 1:
        raise ValueError(f"real rows of shape {checked.shape}: expected [rows >= 2, columns >= 1]")
    if not np.isfinite(checked).all():
        raise ValueError("real rows hold values that are not finite")
    return checked


def chosen_rows(rows: Array, size: int, seed: int = 0) -> Array:
    """Return a random choice of `size` of the rows `[n, d]`, fixed by the seed, in deviations and ordered columns.

    It doesn't depend on the order of rows. Nor does it depend on the unit of any column: values that differ only by
    rounding count as equal.
    """
    with np.errstate(over="ignore"):
        places = np.lexsort(np.round(rows, DECIMALS).T)
    return np.asarray(rows[places][np.random.default_rng([seed, 1]).choice(len(rows), size, replace=False)])


def score_members(generated: ArrayLike, features: int, score: Callable[[Array], Array]) -> Array:
    """Apply `score`, `[members, m, d] -> [..., members]`, to `[*pack, m, d]` in groups; return `[..., *pack]`.

    A group holds one member or at most a million values, whichever is more. Members that are not finite get nan.

    Raises:
        ValueError: fewer than two rows, or not `features` columns.
    """
    rows = np.asarray(generated, dtype=np.float64)
    if rows.ndim < 2 or rows.shape[-1] != features or rows.shape[-2] < 2:
        raise ValueError(f"generated rows of shape {rows.shape}: expected [pack, rows >= 2, {features}]")
    pack, members = rows.shape[:-2], rows.reshape(-1, *rows.shape[-2:])
    together = max(1, GROUP_VALUES // (rows.shape[-1] * rows.shape[-2]))
    groups = [_with_nan(members[start : start + together], score) for start in range(0, len(members), together)]
    # An empty pack still takes one call, which gives the leading axes of its empty result.
    values = np.concatenate(groups or [score(members)], axis=-1)
    return values.reshape((*values.shape[:-1], *pack))


def squared_bandwidth(train: Array, seed: int = 0) -> float:
    """Return the median squared distance between the training rows (between 2,000, chosen by seed, if there are more).

    If more than half of the pairs coincide, return the median of the other pairs.

    Raises:
        ValueError: all rows are equal.
    """
    if len(train) > RULER_ROWS:
        train = chosen_rows(train, RULER_ROWS, seed)
    squared = pdist(train, "sqeuclidean")
    median = float(np.median(squared))
    if median == 0.0:
        apart = squared[squared > 0.0]
        if not len(apart):
            raise ValueError(
                "all training rows are equal: no distance to measure with; another seed splits the rows otherwise"
            )
        median = float(np.median(apart))
    return median


def _with_nan(members: Array, score: Callable[[Array], Array]) -> Array:
    finite = np.isfinite(members).all(axis=(1, 2))
    values = score(members[finite])
    spread = np.full((*values.shape[:-1], len(members)), np.nan)
    spread[..., finite] = values
    return spread
