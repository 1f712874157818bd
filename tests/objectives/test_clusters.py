"""Clusters: the number of a known truth, robustly, matched centres, and samples that have none."""

import numpy as np
import pytest

from objectives.problems.mixture import Mixture3D
from objectives.scores import Reference
from objectives.scores.clusters import Clusters, clusters, match_clusters
from objectives.scores.score import Array


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def corners(count: int, spread: float = 0.1, seed: int = 0) -> Array:
    """`count` rows around each corner of the unit square."""
    centres = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    return np.repeat(centres, count, axis=0) + spread * normal(4 * count, 2, seed=seed)


def test_a_mixture_of_four_has_four_of_four() -> None:
    for truth in range(12):
        real, made = Mixture3D(truth=truth).pair(1000, 1000, np.random.default_rng(truth))
        found = match_clusters(real, made, real)
        assert (found.real, found.generated, len(found.distances)) == (4, 4, 4), truth
        assert max(found.distances) < 0.6


def test_a_dropped_component_is_seen() -> None:
    problem = Mixture3D(truth=1)
    real, made = problem.pair(1000, 1000, np.random.default_rng(0))
    kept = made[problem.labels(made) != 2]
    found = match_clusters(real, kept, real)
    assert (found.real, found.generated, len(found.distances)) == (4, 3, 3)
    score = Clusters(Reference.of(real, real))
    assert score(made[np.newaxis]).value[0] < 0.5 < 1.0 <= score(kept[np.newaxis]).value[0]
    assert score(kept[np.newaxis]).value[0] == pytest.approx(found.score, rel=1e-12)
    assert found.score == pytest.approx(1 + np.mean(found.distances), rel=1e-12)


def test_moved_clusters_are_measured_in_their_own_deviations() -> None:
    real = corners(60)
    centred = real - np.repeat(real.reshape(4, 60, 2).mean(axis=1), 60, axis=0)
    deviation = np.sqrt((centred**2).mean())
    moved = real + np.array([0.2, 0.0])
    assert clusters(real, moved) == pytest.approx(0.2 / deviation, rel=1e-9)
    assert clusters(real, real) == 0.0
    assert clusters(1000 * real, 1000 * moved) == pytest.approx(0.2 / deviation, rel=1e-9)


def test_the_score_measures_in_training_deviations() -> None:
    train, made = corners(60), corners(50, seed=1)
    units = np.array([1e-4, 1024.0])
    first = Clusters(Reference.of(train, corners(40, seed=2)))(made[np.newaxis]).value[0]
    other = Clusters(Reference.of(train * units, corners(40, seed=2) * units))((made * units)[np.newaxis]).value[0]
    assert other == pytest.approx(first, rel=1e-9)
    assert first < 0.5


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (np.zeros((9, 2)), 1),
        (np.array([[0.0, 0.0], [1.0, 1.0]]), 1),
        (np.array([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 4), 2),
        (np.array([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 4 + [[5.0, 1.0]] * 3), 3),
        (np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]]), 2),
        (np.array([[0.0, 0.0], [1e300, -1e300], [1e-300, 1e300], [1.0, 1.0]] * 3), None),
    ],
)
def test_samples_of_few_distinct_rows(rows: Array, count: int | None) -> None:
    found = match_clusters(corners(30), rows, corners(30))
    assert np.isfinite(found.score)
    assert count is None or found.generated == count
    if np.abs(rows).max() < 1e10:
        assert np.isfinite(clusters(rows, corners(30)))


def test_large_samples_count_a_thousand_rows() -> None:
    problem = Mixture3D(truth=0)
    real, made = problem.pair(1000, 20_000, np.random.default_rng(0))
    assert clusters(real, made) < 0.5
