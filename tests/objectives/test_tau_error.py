"""The error of pairwise correlations: agreement with scipy, invariance, and which pair is wrong."""

import time
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from objectives.problems.returns import Returns4D
from objectives.scores.dominance import TILE
from objectives.scores.score import Array
from objectives.scores.tau_error import MOST_PAIRS, TauError, pair_tau, pairs_of, tau_error


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def tau_by_hand(first: Array, second: Array) -> float:
    signs = [np.sign(values[:, np.newaxis] - values) for values in (first, second)]
    return float((signs[0] * signs[1]).sum() / np.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum()))


@pytest.mark.parametrize("n", [2, 5, 200])
@pytest.mark.parametrize("unit", [1e-9, 0.5])
def test_tau_is_the_plain_formula(n: int, unit: float) -> None:
    rows = np.floor(normal(n, 2) @ np.array([[1.0, 0.7], [0.0, 1.0]]) / unit)  # the coarser unit makes ties
    assert pair_tau(rows) == pytest.approx([tau_by_hand(*rows.T)], abs=1e-12)


@pytest.mark.parametrize("n", [2, 63, 64, 65, TILE, TILE + 1])
@pytest.mark.parametrize("unit", [1e-9, 0.5, 3.0])
def test_tau_is_scipys_to_the_last_bit(n: int, unit: float) -> None:
    rows = np.floor(normal(n, 3) @ np.triu(np.ones((3, 3))) / unit)
    rows[:, 1] += 1e-3 * normal(n, seed=1)  # one column without ties
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = [stats.kendalltau(rows[:, one], rows[:, other]).statistic for one, other in pairs]
    np.testing.assert_array_equal(pair_tau(rows), np.nan_to_num(expected))


def test_by_hand() -> None:
    line = np.arange(5.0)
    real = np.column_stack([line, line, line[::-1]])
    made = np.column_stack([line, line[::-1], line[::-1]])
    np.testing.assert_allclose(pair_tau(real), [1, -1, -1])
    assert tau_error(real, made) == pytest.approx((2 + 0 + 2) / 3)
    assert tau_error(real, np.stack([real, made]))[0] == 0.0


def test_a_constant_column_depends_on_nothing() -> None:
    rows = normal(50, 2) @ np.array([[1.0, 1.0], [0.0, 1.0]])
    flat = rows * [1.0, 0.0]
    tau = stats.kendalltau(rows[:, 0], rows[:, 1]).statistic
    assert tau_error(rows, flat) == pytest.approx(tau)
    assert tau_error(flat, flat) == 0.0


def test_increasing_maps_of_any_margin_do_not_matter() -> None:
    real, made = normal(200, 3), normal(150, 3, seed=1)
    mapped = np.column_stack([np.exp(made[:, 0]), made[:, 1] ** 3, 5 * made[:, 2] - 2])
    assert tau_error(real, mapped) == tau_error(real, made)


def test_independent_columns_have_the_error_of_the_mean_tau() -> None:
    problem, generator = Returns4D(), np.random.default_rng(0)
    real, made = problem.pair(2000, 2000, generator)
    truth = problem.tau[np.triu_indices(4, 1)].mean()
    assert tau_error(real, generator.permuted(made, axis=0)) == pytest.approx(truth, abs=0.03)
    assert tau_error(real, made) < 0.04


def test_its_law_of_decay() -> None:
    problem = Returns4D()
    small, large = (
        np.median([float(tau_error(*problem.pair(n, n, np.random.default_rng([n, k])))) for k in range(60)])
        for n in (200, 3200)
    )
    assert np.log(small / large) / np.log(16) == pytest.approx(TauError.decay, abs=0.08)


def test_one_column_is_refused() -> None:
    assert not TauError.serves(normal(20, 1))
    with pytest.raises(ValueError, match="1 column"):
        tau_error(normal(20, 1), normal(20, 1))


def test_up_to_twenty_columns_every_pair_counts_and_above_a_fixed_choice_of_as_many() -> None:
    for columns in (2, 3, 20):
        real, made = normal(60, columns), normal(60, columns, seed=1)
        assert pairs_of(columns) == list(combinations(range(columns), 2))
        assert tau_error(real, made) == np.abs(pair_tau(real) - pair_tau(made)).mean()
    wide = pairs_of(200)
    assert len(set(wide)) == len(wide) == MOST_PAIRS == len(pairs_of(20))
    assert wide == pairs_of(200) and all(one < other < 200 for one, other in wide)
    for rows in (60, TILE + 1):
        real, made = normal(rows, 22), normal(rows, 22, seed=1)
        apart = dict(zip(combinations(range(22), 2), np.abs(pair_tau(real) - pair_tau(made)), strict=True))
        assert tau_error(real, made) == pytest.approx(np.mean([apart[pair] for pair in pairs_of(22)]), abs=1e-15)


def test_two_hundred_columns_cost_no_more_than_twenty() -> None:
    def seconds(columns: int) -> float:
        real, made = normal(100, columns), normal(100, columns, seed=1)
        began = time.process_time()
        for _ in range(5):
            tau_error(real, made)
        return time.process_time() - began

    narrow = min(seconds(20) for _ in range(3))
    assert min(seconds(200) for _ in range(3)) < 10 * narrow  # all pairs: 100 times
