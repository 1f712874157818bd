"""The classifier two-sample test: how well boosted trees tell generated rows from held ones.

Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests. A classifier trained on four fifths of both samples
rates the last fifth, five times around; the score is |AUC - 1/2|, the mean over folds. Trees (Friedman 2001, Greedy
function approximation) find wrong dependence, gaps and steps alike; a linear classifier takes independent columns for
real ones.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives.scores.score import Array, Measure, Reference, Score, chosen_rows, real_rows, score_members

MOST_ROWS = 1000
FOLDS = 5
TREES = 50


@final
class C2st(Score):
    """Area under the curve of boosted trees that tell generated from held rows, in [0, 1/2] above or below one half.

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
        """Return the score of each member `[pack]`."""
        value = score_members(generated, self._real.shape[1], lambda members: _areas(self._real, self._scale(members)))
        return Measure(value, value)


def c2st(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return |AUC - 1/2| `[*pack]` of boosted trees that tell samples `[*pack, m, d]` from real rows `[n, d]`.

    Of both samples min(n, m, 1000) rows count, a fixed random choice, which takes up to half a second.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    return score_members(generated, rows.shape[1], lambda members: _areas(rows, members))


def _areas(real: Array, generated: Array) -> Array:
    """Return the scores `[members]` of samples `[members, m, d]`."""
    size = min(len(real), generated.shape[1], MOST_ROWS)
    some = chosen_rows(real, size)
    return np.array([_area(some, chosen_rows(sample, size)) for sample in generated])


def _area(real: Array, generated: Array) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    rows = np.concatenate([real, generated])
    made = np.arange(len(rows)) >= len(real)
    # Chosen rows come in random order, so that every fifth is a random fold; both classes have equally many in each.
    fold = np.tile(np.arange(len(real)) % FOLDS, 2)
    areas = []
    with threadpool_limits(1, user_api="openmp"):
        for test in range(min(FOLDS, len(real))):
            seen = fold != test
            trees = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=False, random_state=0)
            rated = trees.fit(rows[seen], made[seen]).decision_function(rows[~seen])
            areas.append(_area_under_curve(rated, made[~seen]))
    return abs(float(np.mean(areas)) - 0.5)


def _area_under_curve(rated: Array, made: NDArray[np.bool_]) -> float:
    """Return the share of pairs of a real and a generated row in which the generated one is rated higher."""
    from scipy.stats import rankdata

    ranks, count = rankdata(rated), int(made.sum())
    return float((ranks[made].sum() - count * (count + 1) / 2) / (count * (len(made) - count)))
