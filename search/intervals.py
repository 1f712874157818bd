"""How well a fit on test rows is known: bootstrap intervals over seeds and rows, and permutation tests.

Axes: k configurations, R networks of each, B bootstrap samples, m rows.
"""

import itertools
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives import Judge

Array: TypeAlias = NDArray[np.float64]

REPEATS = 200
SPAN = (2.5, 97.5)  # percentiles


def resampled(judge: Judge, rows: Array, samples: Array, seed: int, repeats: int = REPEATS) -> Array:
    """Fits `[k, R, B]` of samples `[k, R, m, columns]` on bootstrap samples of the held-out rows `[m, columns]`.

    All are judged on the same rows each time, so that their differences aren't blurred by these.
    """
    generator = np.random.default_rng([seed, 7])
    pack = samples.reshape(-1, 1, *samples.shape[2:])
    judge = judge.ranked()
    fits = []
    for _ in range(repeats):
        again = judge.on(rows[generator.integers(len(rows), size=len(rows))])
        fits.append([verdict.fit for verdict in again.each(pack)])
    return np.array(fits).T.reshape(*samples.shape[:2], repeats)


def interval(fits: ArrayLike, again: Array, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the geometric mean of fits `[R]`, from their values `[R, B]` on bootstrap samples of the rows.

    Each bootstrap sample also chooses among the networks. Rows drawn twice make every sample look farther away, so only
    the spread of the bootstrap counts, and not where it lies. (inf, inf) where a network could not be judged.
    """
    found = np.log(np.asarray(fits, dtype=np.float64))
    if not np.all(np.isfinite(found)) or not np.all(np.isfinite(again)):
        return np.inf, np.inf
    count, repeats = again.shape
    chosen = np.random.default_rng([seed, 8]).integers(count, size=(count, repeats))
    means = np.take_along_axis(np.log(again), chosen, axis=0).mean(0)
    low, high = np.exp(found.mean() + np.percentile(means - means.mean(), SPAN))
    return float(low), float(high)


def advantage(better: ArrayLike, other: ArrayLike) -> float:
    """One-sided p-value that fits `better` `[R]` have the smaller geometric mean than `other` `[S]` by chance.

    The share, among all ways to deal the R + S networks out to both, of those with at least this difference.
    """
    first, second = np.log(np.asarray(better, float)), np.log(np.asarray(other, float))
    together = np.clip(np.concatenate([first, second]), -1e3, 1e3)
    total, size = together.sum(), len(first)
    seen = np.array([together[list(own)].sum() for own in itertools.combinations(range(len(together)), size)])
    gaps = seen / size - (total - seen) / len(second)
    return float(np.mean(gaps <= gaps[0] + 1e-12))
