from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from objectives import PROBLEMS
from objectives.problems.known import Gaussian1D, Gaussian2D, GaussianToUniform
from objectives.problems.mixture import SEPARATION, Mixture3D
from objectives.problems.problem import Array, Problem, Rows, Source
from objectives.problems.returns import Returns4D
from search import testing

KNOWN = sorted(set(PROBLEMS) - {"table"})
SOURCES = {
    "gaussian_to_uniform": Source("normal", 2),
    "uniform_to_gaussian": Source("uniform", 2),
    "line_to_gaussian": Source("uniform", 1),
    "gaussian_1d": Source("normal", 1),
    "gaussian_2d": Source("normal", 2),
    "mixture_3d": Source("normal", 3),
    "returns_4d": Source("normal", 4),
}


def sample(problem: Problem, count: int = 40_000, seed: int = 0) -> Array:
    return problem.pair(count, 1, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("clause", testing.PROBLEMS, ids=lambda clause: clause.__name__)
@pytest.mark.parametrize("name", KNOWN)
def test_registered_problems(name: str, clause: Callable[[testing.Drawn], None]) -> None:
    clause(testing.Drawn(PROBLEMS[name], True, ("train", "validation", "test")))


@pytest.mark.parametrize("name", KNOWN)
def test_sources_and_default_sizes(name: str) -> None:
    problem = PROBLEMS[name]()
    rows = problem.rows(0)
    assert problem.source == SOURCES[name]
    expected = (720, 720, 720) if name == "returns_4d" else (5000, 1000, 1000)
    assert (len(rows.train), len(rows.validation), len(rows.test)) == expected


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_too_few_rows_are_refused_in_one_line(name: str, split: str) -> None:
    build: Any = PROBLEMS[name]
    with pytest.raises(ValueError, match=f"^{split} = 49: expected at least 50 rows$"):
        build(**{split: 49})


def test_a_split_does_not_depend_on_the_size_of_another() -> None:
    np.testing.assert_array_equal(
        GaussianToUniform(train=50).rows(0).validation, GaussianToUniform(train=99).rows(0).validation
    )


def test_digest_sees_values_shapes_and_splits_but_not_memory_order() -> None:
    a, b = np.arange(6.0).reshape(3, 2), np.ones((1, 2))
    assert Rows(a, b, b).digest() == Rows(np.asfortranarray(a), b.copy(), b).digest()
    others = [Rows(b, a, b), Rows(a.reshape(2, 3), b, b), Rows(a + 1e-15 * (a == 1), b, b)]
    assert len({Rows(a, b, b).digest(), *(rows.digest() for rows in others)}) == 4


def test_the_unit_square_is_uniform_and_independent() -> None:
    rows = sample(PROBLEMS["gaussian_to_uniform"]())
    for column in rows.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert abs(stats.pearsonr(rows[:, 0], rows[:, 1]).statistic) < 4 / np.sqrt(len(rows))


@pytest.mark.parametrize("name", ["uniform_to_gaussian", "line_to_gaussian"])
def test_standard_normal_targets(name: str) -> None:
    rows = sample(PROBLEMS[name]())
    assert stats.kstest((rows**2).sum(axis=1), stats.chi2(2).cdf).pvalue > 1e-3
    assert stats.kstest(rows[:, 0], "norm").pvalue > 1e-3


def test_gaussians_have_the_moments_asked_for() -> None:
    line = Gaussian1D(mean=-3.0, scale=0.25)
    assert stats.kstest(sample(line)[:, 0], stats.norm(-3.0, 0.25).cdf).pvalue > 1e-3
    plane = Gaussian2D(mean_1=0.5, mean_2=4.0, scale_1=2.0, scale_2=0.1, correlation=-0.8)
    np.testing.assert_allclose(plane.covariance, [[4.0, -0.16], [-0.16, 0.01]])
    rows = sample(plane)
    distances = stats.chi2(2).cdf(
        np.einsum("ni,ij,nj->n", rows - plane.mean, np.linalg.inv(plane.covariance), rows - plane.mean)
    )
    assert stats.kstest(distances, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("gaussian_1d", {"scale": 0.0}, "scale = 0.0: expected a finite number above 0"),
        ("gaussian_1d", {"mean": np.inf}, "mean = inf: expected a finite number"),
        ("gaussian_2d", {"scale_2": -1.0}, "scale_2 = -1.0: expected a finite number above 0"),
        ("gaussian_2d", {"mean_1": np.nan}, "mean_1 = nan: expected a finite number"),
        ("gaussian_2d", {"correlation": 1.0}, "correlation = 1.0: expected a number between -1 and 1, both left out"),
        ("mixture_3d", {"components": 0}, "components = 0: expected a whole number from 1 to 50"),
        ("mixture_3d", {"truth": -1}, "truth = -1: expected a seed, a whole number from 0"),
        ("returns_4d", {"margins": "normal"}, "margins = 'normal': expected one of half_t, pareto"),
    ],
)
def test_arguments_out_of_range_are_refused_in_one_line(name: str, arguments: dict[str, Any], message: str) -> None:
    build: Any = PROBLEMS[name]
    with pytest.raises(ValueError) as error:
        build(**arguments)
    assert str(error.value) == message


@pytest.mark.parametrize("components", [1, 4, 12])
@pytest.mark.parametrize("truth", [0, 1])
def test_mixture_components_are_separate_and_unequal(components: int, truth: int) -> None:
    mixture = Mixture3D(components=components, truth=truth)
    assert mixture.weights.sum() == pytest.approx(1.0) and len(set(mixture.weights)) == components
    gaps = np.linalg.norm(mixture.means[:, None] - mixture.means, axis=-1) + np.diag(np.full(components, np.inf))
    assert gaps.min() >= SEPARATION
    eigenvalues = np.linalg.eigvalsh(mixture.covariances)
    assert eigenvalues.min() >= 0.4**2 - 1e-12 and eigenvalues.max() <= 1.0 + 1e-12
    assert (np.abs(mixture.covariances[:, 0, 1]) > 1e-6).all()


def test_mixture_rows_have_the_moments_of_their_truth() -> None:
    mixture = Mixture3D(components=3, truth=5)
    rows = sample(mixture)
    labels = mixture.labels(rows)
    shares = np.bincount(labels, minlength=3) / len(rows)
    np.testing.assert_allclose(shares, mixture.weights, atol=0.015)
    for component in range(3):
        mine = rows[labels == component]
        np.testing.assert_allclose(mine.mean(axis=0), mixture.means[component], atol=0.05)
        np.testing.assert_allclose(np.cov(mine.T), mixture.covariances[component], atol=0.06)
    np.testing.assert_array_equal(mixture.labels(mixture.means), [0, 1, 2])


def test_truth_is_apart_from_the_seed_of_the_rows() -> None:
    np.testing.assert_array_equal(Mixture3D(truth=2).means, Mixture3D(truth=2).means)
    assert not np.allclose(Mixture3D(truth=2).means, Mixture3D(truth=3).means)


@pytest.mark.parametrize("margins", ["half_t", "pareto"])
def test_returns_have_the_tau_and_the_margins_of_their_truth(margins: Any) -> None:
    problem = Returns4D(margins=margins)
    rows = sample(problem, 8000)
    for first in range(4):
        for second in range(first):
            tau = stats.kendalltau(rows[:, first], rows[:, second]).statistic
            assert tau == pytest.approx(problem.tau[first, second], abs=0.03)
    for column in (rows / problem.scales).T:
        share = 2 * stats.t(3).cdf(column) - 1 if margins == "half_t" else stats.genpareto(0.3).cdf(column)
        assert stats.kstest(share, "uniform").pvalue > 1e-3
    assert rows.min() >= 0 and len(set(problem.scales)) == 4


def test_returns_tie_their_second_and_third_columns_most() -> None:
    tau = Returns4D().tau
    pairs = tau[np.triu_indices(4, 1)]
    assert pairs.min() == 0.25 and pairs.max() == 0.39 == tau[1, 2]
    np.testing.assert_array_equal(tau, tau.T)
    assert set(np.argsort(tau.sum(axis=0))[2:]) == {1, 2}
    assert np.linalg.eigvalsh(np.sin(np.pi * tau / 2)).min() > 0


def test_returns_have_the_joint_tail_of_a_t_copula() -> None:
    problem = Returns4D()
    rows = sample(problem, 200_000)
    level = 0.995
    below = rows <= np.quantile(rows, level, axis=0)
    both = 1 - (below[:, 1] | below[:, 2]).mean()
    rho = np.sin(np.pi * problem.tau[1, 2] / 2)
    # The limit of P(both above | one above) for a t copula with 4 degrees of freedom; a normal copula's is 0.
    limit = 2 * special.stdtr(5, -np.sqrt(5 * (1 - rho) / (1 + rho)))
    assert both / (1 - level) == pytest.approx(limit, abs=0.06)
