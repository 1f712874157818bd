"""The difference in clusters: their number, and the distance of the generated clusters from the real ones.

Lloyd (1982), Least squares quantization in PCM (k-means); Rousseeuw (1987), Silhouettes, which choose k from 2 to 8.
The score is |k - k~| plus the mean distance of the centres, matched one to one, in standard deviations of the real
clusters. A single cluster has no silhouette, so k = 1 can't be told from k = 2.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from objectives.scores.score import Array, Measure, Reference, Scale, Score, chosen_rows, real_rows, score_members

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
        """Return the difference in number plus the mean distance."""
        return abs(self.real - self.generated) + sum(self.distances) / len(self.distances)


@dataclass(frozen=True, eq=False)
class _Clusters:
    centres: Array
    deviation: float


@final
class Clusters(Score):
    """Difference in clusters between generated and held rows, columns in deviations of the training rows.

    Its `decay` is 0: larger samples are cut to 1,000 rows, so their floors don't shrink.
    """

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.0
    repeats: ClassVar[int] = 20

    def __init__(self, reference: Reference) -> None:
        self._scale = reference.scale
        self._real = _clusters(self._scale(real_rows(reference.held)))

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return True: any number of columns is served."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Return the difference of each member `[pack]`."""
        value = score_members(
            generated, self._real.centres.shape[1], lambda members: _differences(self._real, self._scale(members))
        )
        return Measure(value, value)


def clusters(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the difference in clusters `[*pack]` between samples `[*pack, m, d]` and real rows `[n, d]`.

    Columns aren't rescaled. Of each sample at most 1,000 rows count, a fixed random choice.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    found = _clusters(rows)
    return score_members(generated, rows.shape[1], lambda members: _differences(found, members))


def match_clusters(real: ArrayLike, generated: ArrayLike, train: ArrayLike) -> ClusterMatch:
    """Return the clusters of one sample `[m, d]` and of real rows `[n, d]`; both are scaled by the training rows.

    Raises:
        ValueError: fewer than two rows, or rows that are not finite.
    """
    scale = Scale.of(np.asarray(train))
    return _matched(*(_clusters(scale(real_rows(rows))) for rows in (real, generated)))


def _clusters(rows: Array) -> _Clusters:
    # Imported here, as in other scores, because the import takes half a second and most trainers don't need it.
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    some = chosen_rows(rows, min(len(rows), MOST_ROWS))
    most = min(MOST_CLUSTERS, len(np.unique(some, axis=0)), len(some) - 1)
    if most < 2:
        return _Clusters(some.mean(axis=0, keepdims=True), 1.0)
    distances = cdist(some, some)
    with threadpool_limits(1, user_api="openmp"):  # the result of several threads depends on their order
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
