"""The number of modes: that of a known truth, robustly, and its difference as a score."""

import numpy as np
import pytest

from objectives.problems.mixture import Mixture3D
from objectives.scores.modes import Modes, count_modes, modes
from objectives.scores.score import Array


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("n", [1000, 4000])
def test_a_mixture_of_four_has_four(n: int) -> None:
    for truth in range(30):
        rows = Mixture3D(truth=truth).draw(n, np.random.default_rng([truth, n]))
        assert count_modes(rows, rows) == 4, truth


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_normal_sample_has_one(columns: int) -> None:
    counts = [count_modes(rows, rows) for rows in normal(150, 1000, columns, seed=3)]
    assert np.mean(np.array(counts) == 1) >= 0.99


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_two_far_normals_have_two_in_any_unit(columns: int) -> None:
    rows = np.concatenate([normal(400, columns), normal(300, columns, seed=1) + 8])
    assert count_modes(rows, rows) == 2
    units = 10.0 ** (3 * np.arange(columns) - 3)
    assert count_modes(rows * units - 5, rows * units - 5) == 2


def test_merged_dropped_and_invented_modes_are_seen() -> None:
    problem = Mixture3D(truth=1)
    real, made = problem.pair(1000, 1000, np.random.default_rng(0))
    kept = made[problem.labels(made) != 2]
    blurred = made + 3 * normal(1000, 3)
    assert modes(real, made) == 0
    assert modes(real, kept) == 1
    assert modes(real, blurred) >= 1
    corners = np.repeat([[-2.0, -2.0], [-2.0, 2.0], [2.0, -2.0], [2.0, 2.0]], 250, axis=0)
    assert modes(normal(1000, 2), corners + 0.4 * normal(1000, 2, seed=1)) == 3


def test_rows_outside_the_range_of_the_real_ones_make_no_mode() -> None:
    real = normal(500, 2)
    assert modes(real, real + 100) == 1
    assert modes(real, np.concatenate([real, 1e300 * np.ones((400, 2))])) == 0


def test_constant_columns() -> None:
    real = np.column_stack([np.concatenate([normal(300), normal(300) + 9]), np.ones(600)])
    assert count_modes(real, real) == 2
    assert count_modes(np.ones((5, 2)), np.ones((5, 2))) == 1


def test_more_than_three_columns_are_refused() -> None:
    assert not Modes.serves(normal(10, 4))
    with pytest.raises(ValueError, match="4 columns: expected at most 3"):
        modes(normal(10, 4), normal(10, 4))
