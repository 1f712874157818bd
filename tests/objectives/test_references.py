import numpy as np
import pytest
from scipy import stats

from objectives.problems.problem import Array
from objectives.problems.returns import Returns4D
from objectives.scores.judge import judge_for
from objectives.scores.references import REFERENCES

TRAIN = Returns4D().rows(1).train


def generate(name: str, m: int, train: Array = TRAIN, seed: int = 0) -> Array:
    return REFERENCES[name](train, m, np.random.default_rng(seed))


@pytest.mark.parametrize("name", sorted(REFERENCES))
@pytest.mark.parametrize("m", [2, 100, 720, 1500])
def test_every_reference_gives_the_rows_asked_for_by_seed(name: str, m: int) -> None:
    rows = generate(name, m)
    assert rows.shape == (m, 4) and rows.dtype == np.float64 and np.isfinite(rows).all()
    np.testing.assert_array_equal(rows, generate(name, m))
    assert not np.array_equal(rows, generate(name, m, seed=1))


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_every_reference_serves_one_column_and_constant_or_repeated_ones(name: str) -> None:
    assert generate(name, 50, TRAIN[:, :1]).shape == (50, 1)
    awkward = np.column_stack([TRAIN[:, 0], TRAIN[:, 0], np.ones(len(TRAIN))])
    rows = generate(name, 500, awkward)
    assert np.isfinite(rows).all() and (rows[:, 2] == 1).all()
    if name != "independent columns":
        np.testing.assert_allclose(rows[:, 0], rows[:, 1], rtol=1e-6)


def test_training_rows_are_themselves() -> None:
    np.testing.assert_array_equal(np.sort(generate("training rows", 720), axis=0), np.sort(TRAIN, axis=0))
    few = generate("training rows", 100)
    assert len(np.unique(few[:, 0])) == 100 and np.isin(few[:, 0], TRAIN[:, 0]).all()
    counts = np.unique(generate("training rows", 1500)[:, 0], return_counts=True)[1]
    assert len(counts) == 720 and set(counts) == {2, 3}


def test_a_bootstrap_repeats_whole_rows() -> None:
    rows = generate("bootstrap", 720)
    assert {tuple(row) for row in rows} <= {tuple(row) for row in TRAIN}
    assert len(np.unique(rows[:, 0])) / 720 == pytest.approx(1 - np.exp(-1), abs=0.05)


def test_independent_columns_keep_margins_and_lose_dependence() -> None:
    rows = generate("independent columns", 3000)
    for column, margin in zip(rows.T, TRAIN.T, strict=True):
        assert np.isin(column, margin).all()
        assert stats.ks_2samp(column, margin).pvalue > 1e-3
    assert abs(stats.kendalltau(rows[:, 1], rows[:, 2]).statistic) < 0.05


def test_the_copula_keeps_margins_and_dependence() -> None:
    rows = generate("gaussian copula", 3000)
    for column, margin in zip(rows.T, TRAIN.T, strict=True):
        assert margin.min() <= column.min() and column.max() <= margin.max()
        assert stats.ks_2samp(column, margin).pvalue > 1e-3
    assert not np.isin(rows[:, 0], TRAIN[:, 0]).any()
    for first in range(4):
        for second in range(first):
            real, other = (stats.kendalltau(sample[:, first], sample[:, second]).statistic for sample in (TRAIN, rows))
            assert other == pytest.approx(real, abs=0.06)


def test_references_rank_as_they_should() -> None:
    problem = Returns4D()
    rows = problem.rows(1)
    judge = judge_for(problem, rows.train, rows.validation, 720, repeats=60)
    evaluations = {name: judge(np.stack([generate(name, 720, seed=seed) for seed in range(3)])) for name in REFERENCES}
    assert evaluations["training rows"].values["overfit"] == 1.0
    assert evaluations["bootstrap"].values["overfit"] == 1.0
    assert not evaluations["independent columns"].inside["kendall"]
    assert evaluations["gaussian copula"].misfit < evaluations["independent columns"].misfit
    assert evaluations["gaussian copula"].inside["kendall"]
