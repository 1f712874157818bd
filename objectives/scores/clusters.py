"""The difference in clusters: their number, and how far those of the generated rows lie from the real ones.

Lloyd (1982), Least squares quantization in PCM (k-means); Rousseeuw (1987), Silhouettes, which choose k from 2 to 8.
The score is |k - k~| plus the mean distance of the centres, matched one to one, in standard deviations of the real
clusters. Rows of one cluster have no silhouette: k = 1 isn't told apart from k = 2.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from objectives.scores.scale import Scale
from objectives.scores.score import Array, Measure, Reference, Score, chosen_rows, real_rows, score_members

MOST_CLUSTERS = 8
MOST_ROWS = 1000
STARTS = 3


@dataclass(frozen=True)
class ClusterMatch:
    """Clusters found in real and in generated rows, and the `distances` of the matched centres, in deviations."""

    real: int
    generated: int
    distances: tuple[float, ...]

    @property
    def score(self) -> float:
        """Difference in number plus mean distance."""
        return abs(self.real - self.generated) + sum(self.distances) / len(self.distances)


@dataclass(frozen=True, eq=False)
class _Clusters:
    centres: Array
    deviation: float


@final
class Clusters(Score):
    """Difference in clusters, columns in deviations of the training rows, against the held rows.

    Its `decay` is 0: of larger samples 1,000 rows count, so that their floors don't shrink.
    """

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.0
    repeats: ClassVar[int] = 20

    def __init__(self, reference: Reference) -> None:
        self._scale = Scale.of(reference.train)
        self._real = _clusters(self._scale(real_rows(reference.held)))

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Any number of columns."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Difference of each member `[pack]`."""
        value = score_members(
            generated, self._real.centres.shape[1], lambda members: _differences(self._real, self._scale(members))
        )
        return Measure(value, value)


def clusters(real: ArrayLike, generated: ArrayLike) -> Array:
    """Difference in clusters `[*pack]` between samples `[*pack, m, d]` and real rows `[n, d]`.

    Columns stay in their units here. Of each sample 1,000 rows count at most, a fixed random choice.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    found = _clusters(rows)
    return score_members(generated, rows.shape[1], lambda members: _differences(found, members))


def match_clusters(real: ArrayLike, generated: ArrayLike, train: ArrayLike) -> ClusterMatch:
    """What the score is made of, for one sample `[m, d]`, real rows `[n, d]` and the training rows that scale both.

    Raises:
        ValueError: fewer than two rows, or rows that are not finite.
    """
    scale = Scale.of(np.asarray(train))
    return _matched(*(_clusters(scale(real_rows(rows))) for rows in (real, generated)))


def _clusters(rows: Array) -> _Clusters:
    # Imported here, as in other scores: a trainer's process that doesn't need them would wait half a second for them.
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    some = chosen_rows(rows, min(len(rows), MOST_ROWS))
    most = min(MOST_CLUSTERS, len(np.unique(some, axis=0)), len(some) - 1)
    if most < 2:
        return _Clusters(some.mean(axis=0, keepdims=True), 1.0)
    distances = cdist(some, some)
    with threadpool_limits(1, user_api="openmp"):  # threads would add up in an order of their own
        fits = [KMeans(k, n_init=STARTS, random_state=0).fit(some) for k in range(2, most + 1)]
    best = max(fits, key=lambda fit: silhouette_score(distances, fit.labels_, metric="precomputed"))
    deviation = float(np.sqrt(best.inertia_ / some.size))
    return _Clusters(best.cluster_centers_, deviation if deviation > 0.0 else 1.0)


def _matched(real: _Clusters, generated: _Clusters) -> ClusterMatch:
    from scipy.optimize import linear_sum_assignment

    distances = cdist(real.centres, generated.centres) / real.deviation
    matched = distances[linear_sum_assignment(distances)]
    return ClusterMatch(len(real.centres), len(generated.centres), tuple(matched.tolist()))


def _differences(real: _Clusters, generated: Array) -> Array:
    return np.array([_matched(real, _clusters(sample)).score for sample in generated])
