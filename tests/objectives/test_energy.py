"""The energy distance: agreement with scipy, known populations, both its forms."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from objectives.scores import Reference
from objectives.scores.energy import Energy, energy, energy_biased
from objectives.scores.score import Array


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def by_hand(real: Array, generated: Array) -> tuple[float, float]:
    n, m = len(real), len(generated)
    across = 2 * cdist(real, generated).mean()
    within = [cdist(rows, rows).sum() for rows in (real, generated)]
    unbiased = across - within[0] / (n * (n - 1)) - within[1] / (m * (m - 1))
    return unbiased, across - within[0] / n**2 - within[1] / m**2


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (40, 23, 2), (300, 270, 4)])
def test_the_plain_formula(n: int, m: int, d: int) -> None:
    real, generated = normal(n, d), 1.5 * normal(m, d, seed=1)
    unbiased, biased = by_hand(real, generated)
    assert energy(real, generated) == pytest.approx(unbiased, abs=1e-12)
    assert energy_biased(real, generated) == pytest.approx(biased, abs=1e-12)


def test_it_is_the_square_of_scipys_in_one_dimension() -> None:
    real, generated = normal(80, 1), normal(70, 1, seed=1) + 0.5
    expected = stats.energy_distance(real[:, 0], generated[:, 0]) ** 2
    assert energy_biased(real, generated) == pytest.approx(expected, rel=1e-10)


def test_between_normals_on_the_line() -> None:
    # E|N(0.5, 2)| twice, less E|N(0, 2)| twice.
    mean = 2 * stats.foldnorm(0.5 / np.sqrt(2), scale=np.sqrt(2)).mean() - 2 * 2 / np.sqrt(np.pi)
    grid = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)[:, np.newaxis]
    assert energy_biased(grid, grid + 0.5) == pytest.approx(mean, abs=1e-3)
    values = energy(normal(4000, 1), 0.5 + normal(60, 100, 1, seed=1))
    assert values.mean() == pytest.approx(mean, abs=4 * values.std() / np.sqrt(60) + 0.02)


def test_it_is_unbiased_and_its_positive_form_shrinks_with_the_sample() -> None:
    values = np.array([float(energy(normal(30, 2, seed=2 * k), normal(30, 2, seed=2 * k + 1))) for k in range(400)])
    assert abs(values.mean()) < 4 * values.std() / 20
    small, large = (
        np.mean([float(energy_biased(normal(n, 2, seed=2 * k), normal(n, 2, seed=2 * k + 1))) for k in range(60)])
        for n in (60, 600)
    )
    assert np.log10(small / large) == pytest.approx(Energy.decay, abs=0.12)


def test_the_score_measures_in_training_deviations() -> None:
    train, held, made = 3 * normal(400, 2) + 1, 3 * normal(100, 2, seed=1), normal(1, 90, 2, seed=2)
    score = Energy(Reference.of(train, held))
    deviation = train.std(axis=0)
    unbiased, biased = by_hand(held / deviation, made[0] / deviation)
    assert score(made).value[0] == pytest.approx(unbiased, abs=1e-12)
    assert score(made).positive[0] == pytest.approx(biased, abs=1e-12)
    units = np.array([1e-6, 1024.0])
    other = Energy(Reference.of(train * units, held * units))
    assert other(made * units).value[0] == pytest.approx(unbiased, rel=1e-9)
