"""c2st, coverage, tail_dependence and var_es: plain formulas, known values, and what each sees at its floor."""

from collections.abc import Callable
from functools import cache
from itertools import permutations
from math import ceil, comb

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from objectives import SCORES
from objectives.problems.returns import Returns4D
from objectives.scores import Reference
from objectives.scores.c2st import _area_under_curve, c2st
from objectives.scores.coverage import MOST_ROWS, coverage
from objectives.scores.judge import Floor, floors
from objectives.scores.references import gaussian_copula, independent_columns
from objectives.scores.score import Array
from objectives.scores.tail_dependence import joint_tails, tail_dependence
from objectives.scores.var_es import portfolios, var_es

PROBLEM = Returns4D()
SIZE = 720
NEW = ("c2st", "coverage", "tail_dependence", "var_es")


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def tied(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 4, shape).astype(float)


@cache
def floor_of(name: str) -> Floor:
    rows = PROBLEM.rows(0)
    reference = Reference.of(rows.train, rows.test[:SIZE])
    return floors(PROBLEM.pair, SIZE, SIZE, {name: SCORES[name]}, reference=reference, seed=0, repeats=20)[name]


def value(name: str, generated: Array, held: Array | None = None) -> float:
    rows = PROBLEM.rows(0)
    score = SCORES[name](Reference.of(rows.train, rows.test[:SIZE] if held is None else held))
    return float(score(generated[np.newaxis]).value[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW)
def test_a_perfect_generator_lies_inside_its_floor(name: str) -> None:
    pairs = [PROBLEM.pair(SIZE, SIZE, np.random.default_rng([7, k])) for k in range(5)]
    values = [value(name, made, held) for held, made in pairs]
    assert np.median(values) <= floor_of(name).upper
    assert np.mean(np.array(values) <= floor_of(name).upper) >= 0.6


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW[:3])
def test_independent_columns_lie_outside(name: str) -> None:
    drawn = [independent_columns(PROBLEM.rows(1).train, SIZE, np.random.default_rng(seed)) for seed in range(3)]
    assert np.median([value(name, made) for made in drawn]) > floor_of(name).upper
    assert np.median([value("ad", made) for made in drawn]) < floor_of("ad").upper  # their margins are real ones


# The classifier two-sample test


@pytest.mark.parametrize("draw", [normal, tied])
def test_the_area_is_scikit_learns(draw: Callable[..., Array]) -> None:
    rated, made = draw(90), normal(90, seed=1) > 0.2
    assert _area_under_curve(rated, made) == pytest.approx(roc_auc_score(made, rated), abs=1e-12)


def test_the_classifier_reaches_the_best_possible_area() -> None:
    # The best rating of N(0, 1) and N(1.5, 1) is x itself: AUC = P(X < Y) = Phi(1.5 / sqrt 2).
    best = stats.norm.cdf(1.5 / np.sqrt(2)) - 0.5
    assert c2st(normal(2000, 1), normal(2000, 1, seed=1) + 1.5) == pytest.approx(best, abs=0.04)
    assert c2st(normal(600, 2), normal(600, 2, seed=1) + 100) == 0.5
    assert c2st(normal(1000, 2), normal(1000, 2, seed=1)) < 0.05


def test_a_linear_classifier_is_no_substitute() -> None:
    from sklearn.linear_model import LogisticRegression

    held, made = PROBLEM.rows(0).test[:SIZE], independent_columns(PROBLEM.rows(1).train, SIZE, np.random.default_rng(0))
    rows, labels = np.concatenate([held, made]), np.repeat([0, 1], SIZE)
    linear = LogisticRegression().fit(rows[::2], labels[::2]).predict_proba(rows[1::2])[:, 1]
    assert abs(roc_auc_score(labels[1::2], linear) - 0.5) < 0.08 < c2st(held, made)


@pytest.mark.parametrize("size", [2, 3, 6, 11])
def test_few_rows_have_fewer_folds(size: int) -> None:
    assert 0 <= c2st(normal(size, 2), normal(size + 1, 2, seed=1)) <= 0.5


# Coverage


@pytest.mark.parametrize("draw", [normal, tied])
@pytest.mark.parametrize(("n", "m", "d"), [(3, 2, 1), (40, 23, 2), (120, 150, 4)])
def test_coverage_is_the_plain_formula(draw: Callable[..., Array], n: int, m: int, d: int) -> None:
    real, generated = draw(n, d), 1.5 * draw(m, d, seed=1)
    radii = np.sort(cdist(real, real), axis=1)[:, min(5, n - 1)]
    assert coverage(real, generated) == pytest.approx(1 - (cdist(real, generated).min(axis=1) <= radii).mean())


@pytest.mark.parametrize(("n", "m"), [(300, 300), (200, 500)])
def test_coverage_of_real_rows_has_the_mean_of_order_statistics(n: int, m: int) -> None:
    values = [float(coverage(normal(n, 3, seed=2 * k), normal(m, 3, seed=2 * k + 1))) for k in range(60)]
    mean = comb(n - 1, 5) / comb(n + m - 1, 5)
    assert np.mean(values) == pytest.approx(mean, abs=4 * np.std(values) / np.sqrt(60))


def test_copies_of_few_rows_cover_little_and_what_is_never_generated_counts() -> None:
    train = PROBLEM.rows(0).train
    few = np.tile(train[:72], (10, 1))
    assert value("coverage", few) > 5 * floor_of("coverage").upper
    assert value("kendall", few) < 5 * floor_of("kendall").upper
    assert (
        value("coverage", train) < 1.5 * floor_of("coverage").upper
    )  # all of them are as good as fresh rows: see overfit
    real = np.concatenate([normal(300, 2), normal(100, 2, seed=1) + 20])
    assert coverage(real, normal(400, 2, seed=2)) == pytest.approx(0.25 + 0.75 / 2**5, abs=0.03)


def test_coverage_counts_a_bounded_choice_of_rows() -> None:
    real, made = normal(MOST_ROWS + 500, 2), normal(MOST_ROWS + 300, 2, seed=1)
    assert coverage(real, made) == pytest.approx(1 / 32, abs=0.01)
    assert coverage(real[::-1], np.random.default_rng(0).permutation(made)) == coverage(real, made)


# Tail dependence


def joint_tails_by_hand(rows: Array) -> Array:
    n, d = rows.shape
    result = np.zeros((2, 2, d, d))
    for tail, signed in enumerate((rows, -rows)):
        shares = stats.rankdata(signed, method="max", axis=0) / n
        for level, q in enumerate((0.95, 0.99)):
            for i, j in [(i, j) for i in range(d) for j in range(d)]:
                above = [row for row in shares if row[i] > q + 1e-12]
                result[tail, level, i, j] = np.mean([row[j] > q + 1e-12 for row in above])
    return result


@pytest.mark.parametrize("draw", [normal, tied])
@pytest.mark.parametrize("n", [2, 20, 100, 333])
def test_joint_tails_are_the_plain_formula(draw: Callable[..., Array], n: int) -> None:
    real, made = (draw(n, 3, seed=seed) @ np.triu(np.ones((3, 3))) for seed in range(2))
    np.testing.assert_allclose(joint_tails(real), joint_tails_by_hand(real), atol=1e-12)
    gaps = np.abs(joint_tails_by_hand(real) - joint_tails_by_hand(made))
    pairs = [gaps[:, :, i, j] for i, j in permutations(range(3), 2)]
    assert tail_dependence(real, made) == pytest.approx(np.mean(pairs), abs=1e-12)


RHO = np.sin(np.pi * 0.3 / 2)


def t_joint(q: float, freedom: float) -> float:
    """P(U_2 > q | U_1 > q) of a t copula: given X_1 = x, the other is a t with one more degree of freedom."""
    edge = stats.t.ppf(q, freedom)

    def integrand(u: float) -> float:
        x = stats.t.ppf(u, freedom)
        spread = np.sqrt((freedom + x**2) * (1 - RHO**2) / (freedom + 1))
        return float(stats.t.sf((edge - RHO * x) / spread, freedom + 1))

    return float(integrate.quad(integrand, q, 1.0)[0] / (1 - q))


@pytest.mark.slow
def test_joint_tails_of_t_and_normal_copulas() -> None:
    dice, n = np.random.default_rng(0), 400_000
    root = np.linalg.cholesky(np.array([[1.0, RHO], [RHO, 1.0]]))
    gaussian = dice.standard_normal((n, 2)) @ root.T
    heavy = gaussian / np.sqrt(dice.chisquare(4, (n, 1)) / 4)
    for rows, freedom, published in ((heavy, 4.0, (0.313, 0.26)), (gaussian, 1e6, (0.217, 0.11))):
        for level, (q, known) in enumerate(zip((0.95, 0.99), published, strict=True)):
            truth = t_joint(q, freedom)
            assert truth == pytest.approx(known, abs=0.02)
            found = joint_tails(rows)[:, level, 0, 1]
            np.testing.assert_allclose(found, truth, atol=4 * np.sqrt(truth / (n * (1 - q))))
    expected = np.mean([t_joint(q, 4.0) - t_joint(q, 1e6) for q in (0.95, 0.99)])
    assert tail_dependence(heavy, gaussian) == pytest.approx(expected, abs=0.01)


def test_increasing_maps_do_not_matter_and_reflection_swaps_the_tails() -> None:
    real, made = normal(500, 3) @ np.triu(np.ones((3, 3))), normal(400, 3, seed=1)
    mapped = np.column_stack([np.exp(made[:, 0]), made[:, 1] ** 3, 5 * made[:, 2] - 2])
    assert tail_dependence(real, mapped) == tail_dependence(real, made)
    np.testing.assert_array_equal(joint_tails(-real), joint_tails(real)[::-1])


@pytest.mark.slow
def test_a_gaussian_copula_on_a_t_copula_lies_outside() -> None:
    size, root = 4000, np.linalg.cholesky(np.full((3, 3), RHO) + (1 - RHO) * np.eye(3))

    def draw(n: int, dice: np.random.Generator) -> Array:
        return np.asarray(dice.standard_normal((n, 3)) @ root.T / np.sqrt(dice.chisquare(4, (n, 1)) / 4))

    def pair(first: int, second: int, dice: np.random.Generator) -> tuple[Array, Array]:
        return draw(first, dice), draw(second, dice)

    train, held, *fresh = (draw(size, np.random.default_rng(seed)) for seed in range(9))
    reference = Reference.of(train, held)
    scores = {name: SCORES[name] for name in ("tail_dependence", "tau_error")}
    found = floors(pair, size, size, scores, reference=reference, seed=0, repeats=40)
    copulas = [gaussian_copula(train, size, np.random.default_rng(seed)) for seed in range(7)]
    for name, inside in (("tail_dependence", False), ("tau_error", True)):
        honest, wrong = (scores[name](reference)(np.stack(samples)).value for samples in (fresh, copulas))
        assert np.median(honest) <= found[name].upper
        assert (np.median(wrong) <= found[name].upper) == inside


# Value at risk and expected shortfall


@pytest.mark.parametrize(("n", "m", "d"), [(2, 3, 1), (150, 150, 3), (333, 200, 5)])
def test_risks_are_the_plain_formula(n: int, m: int, d: int) -> None:
    real, made = normal(n, d), 1.3 * normal(m, d, seed=1)
    errors = []
    for weights in portfolios(d):
        first, second = (np.sort(rows @ weights) for rows in (real, made))
        for share in (0.05, 0.01):
            one, other = (own[: ceil(share * len(own) - 1e-9)] for own in (first, second))
            errors += [abs(one[-1] - other[-1]) / first.std(), abs(one.mean() - other.mean()) / first.std()]
    assert var_es(real, made) == pytest.approx(np.mean(errors), rel=1e-9)


def test_portfolios_are_long_only_or_long_short() -> None:
    weights = portfolios(6)
    np.testing.assert_allclose(np.abs(weights).sum(axis=1), 1.0)
    long_only = (weights >= 0).all(axis=1)
    assert weights.shape == (100, 6) and 50 <= long_only.sum() <= 55
    np.testing.assert_allclose(weights[long_only].mean(axis=0), 1 / 6, atol=0.07)


def test_normals_of_another_spread_have_the_known_error() -> None:
    # Quantile and shortfall of N(0, s) are s times those of N(0, 1), for every portfolio alike.
    known = [figure for a in (0.05, 0.01) for figure in (-stats.norm.ppf(a), stats.norm.pdf(stats.norm.ppf(a)) / a)]
    found = var_es(normal(60_000, 3), 1.2 * normal(60_000, 3, seed=1))
    assert found == pytest.approx(0.2 * np.mean(known), rel=0.06)


@pytest.mark.slow
def test_the_risks_of_independent_columns_lie_outside() -> None:
    # One common factor, of correlation 0.8: without it a long-only portfolio has half of its deviation.
    def pair(first: int, second: int, dice: np.random.Generator) -> tuple[Array, Array]:
        rows = dice.standard_normal((first + second, 4)) + 2 * dice.standard_normal((first + second, 1))
        return rows[:first], rows[first:]

    train, held = pair(SIZE, SIZE, np.random.default_rng(1))
    score, made = SCORES["var_es"], pair(2, SIZE, np.random.default_rng(2))[1]
    reference = Reference.of(train, held)
    found = floors(pair, SIZE, SIZE, {"var_es": score}, reference=reference, seed=0, repeats=40)["var_es"]
    independent = independent_columns(train, SIZE, np.random.default_rng(0))
    honest, wrong = score(reference)(np.stack([made, independent])).value
    assert honest <= found.upper < wrong / 2


def test_a_constant_portfolio_has_a_finite_error() -> None:
    assert var_es(np.zeros((50, 2)), np.zeros((50, 2))) == 0.0
    assert np.isfinite(var_es(np.zeros((50, 2)), normal(50, 2)))
