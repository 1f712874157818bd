"""Exact and sliced Wasserstein distances: agreement with scipy, known transports, invariance."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from objectives import SCORES
from objectives.scores import Reference
from objectives.scores.quantiles import quantile_cells
from objectives.scores.score import Array
from objectives.scores.sliced_wasserstein import SlicedWasserstein, sliced_wasserstein
from objectives.scores.wasserstein import MOST_ROWS, wasserstein

Distance = Callable[[Array, Array], Array]
both = pytest.mark.parametrize("distance", [wasserstein, sliced_wasserstein])


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


@both
def test_one_dimension_agrees_with_scipy(distance: Distance) -> None:
    real, generated = normal(80, 1), 2 * normal(80, 1, seed=1) + 0.5
    expected = stats.wasserstein_distance(real[:, 0], generated[:, 0])
    assert distance(real, generated) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (80, 33), (33, 80), (64, 128)])
def test_sliced_distances_of_unequal_samples_agree_with_scipy(n: int, m: int) -> None:
    real, generated = normal(n, 1), normal(m, 1, seed=1) + 0.5
    expected = stats.wasserstein_distance(real[:, 0], generated[:, 0])
    assert sliced_wasserstein(real, generated) == pytest.approx(expected, rel=1e-12)


def test_quantile_cells_by_hand() -> None:
    rank, other, widths = quantile_cells(2, 3)
    assert (rank.tolist(), other.tolist()) == ([0, 0, 1, 1], [0, 1, 1, 2])
    assert widths.tolist() == pytest.approx([1 / 3, 1 / 6, 1 / 6, 1 / 3])


def test_the_exact_distance_is_that_of_the_best_of_all_permutations() -> None:
    real, generated = normal(6, 3), normal(6, 3, seed=1)
    best = min(np.linalg.norm(real - generated[list(order)], axis=1).mean() for order in permutations(range(6)))
    assert wasserstein(real, generated) == pytest.approx(best, rel=1e-12)


@both
def test_a_translation_is_the_best_transport(distance: Distance) -> None:
    real, shift = normal(200, 3), np.array([3.0, 0.0, 4.0])
    # Over directions of the sphere in three dimensions, the mean of |cos| is 1/2.
    expected, tolerance = (5.0, 1e-12) if distance is wasserstein else (2.5, 0.15)
    assert distance(real, real + shift) == pytest.approx(expected, rel=tolerance)
    assert distance(real, real[::-1]) == pytest.approx(0.0, abs=1e-12)


def test_the_sliced_distance_is_never_above_the_exact_one() -> None:
    real, generated = normal(300, 3), 1.5 * normal(300, 3, seed=1) + 0.2
    assert 0 < sliced_wasserstein(real, generated) < wasserstein(real, generated)


def test_the_exact_distance_takes_a_thousand_rows_at_most() -> None:
    real, generated = normal(MOST_ROWS + 300, 1), normal(MOST_ROWS + 200, 1, seed=1) + 3
    value = wasserstein(real, generated)
    assert value == pytest.approx(3, abs=0.15)
    assert wasserstein(real[::-1], np.random.default_rng(0).permutation(generated)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", ["wasserstein", "sliced_wasserstein"])
def test_the_score_measures_in_training_deviations(name: str) -> None:
    train, held, made = 3 * normal(400, 2) + 1, 3 * normal(90, 2, seed=1), normal(1, 90, 2, seed=2)
    plain = wasserstein if name == "wasserstein" else sliced_wasserstein
    deviation = train.std(axis=0)
    value = SCORES[name](Reference.of(train, held))(made).value[0]
    assert value == pytest.approx(plain(held / deviation, made[0] / deviation), rel=1e-9)
    units = np.array([1e-6, 1024.0])
    other = SCORES[name](Reference.of(train * units, held * units))
    assert other(made * units).value[0] == pytest.approx(value, rel=1e-9)


def test_the_law_of_decay_of_the_sliced_distance() -> None:
    small, large = (
        np.median([float(sliced_wasserstein(*normal(2, n, 4, seed=k))) for k in range(40)]) for n in (100, 1600)
    )
    assert np.log(small / large) / np.log(16) == pytest.approx(SlicedWasserstein.decay, abs=0.06)


def test_degenerate_samples_take_no_longer() -> None:
    assert wasserstein(normal(1000, 2), np.zeros((1000, 2))) == pytest.approx(np.sqrt(np.pi / 2), abs=0.1)
