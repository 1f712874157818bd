"""Reference generators that need no network: a leaderboard shows their scores, and a network should beat them.

The copula's correlation is that of the normal scores: Klaassen and Wellner (1997), Efficient estimation in the
bivariate normal copula model. Rows are `[n, d]`.
"""

from collections.abc import Callable

import numpy as np
from scipy import special

from objectives.scores.score import Array


def training_rows(train: Array, m: int, generator: np.random.Generator) -> Array:
    """Return the training rows themselves, `[m, d]` in random order: a subset, or all of them and some again."""
    whole = np.tile(np.arange(len(train)), m // len(train))
    chosen = np.concatenate([whole, generator.permutation(len(train))[: m % len(train)]])
    return np.asarray(train[generator.permutation(chosen)])


def bootstrap(train: Array, m: int, generator: np.random.Generator) -> Array:
    """Draw training rows `[m, d]` with replacement."""
    return train[generator.integers(len(train), size=m)]


def independent_columns(train: Array, m: int, generator: np.random.Generator) -> Array:
    """Draw rows `[m, d]`, each column with replacement on its own: right margins, no dependence."""
    return np.take_along_axis(train, generator.integers(len(train), size=(m, train.shape[1])), axis=0)


def gaussian_copula(train: Array, m: int, generator: np.random.Generator) -> Array:
    """Draw rows `[m, d]` of a normal copula with the normal scores' correlation and empirical margins."""
    from scipy import stats

    scores = special.ndtri(stats.rankdata(train, axis=0) / (len(train) + 1))
    spread = scores.std(axis=0)
    standard = (scores - scores.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    # Eigenvectors rather than Cholesky: repeated columns make a correlation matrix that is only semi-definite.
    eigenvalues, eigenvectors = np.linalg.eigh(standard.T @ standard / len(train))
    root = eigenvectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    shares = special.ndtr(generator.standard_normal((m, train.shape[1])) @ root.T)
    return np.column_stack([_quantiles(column, share) for column, share in zip(train.T, shares.T, strict=True)])


def _quantiles(column: Array, shares: Array) -> Array:
    """Return quantiles of a column, interpolated unless values repeat, as in counts."""
    repeats = len(np.unique(column)) < len(column)
    return np.asarray(np.quantile(column, shares, method="inverted_cdf" if repeats else "linear"))


REFERENCES: dict[str, Callable[[Array, int, np.random.Generator], Array]] = {
    "training rows": training_rows,
    "bootstrap": bootstrap,
    "independent columns": independent_columns,
    "gaussian copula": gaussian_copula,
}
