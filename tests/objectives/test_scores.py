import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial.distance import cdist, pdist

from objectives import SCORES, STANDARD
from objectives.problems.returns import Returns4D
from objectives.scores import Reference, Score
from objectives.scores.anderson_darling import ad
from objectives.scores.dominance import dominated
from objectives.scores.kendall import kendall
from objectives.scores.mmd import mmd, mmd_biased
from objectives.scores.overfit import overfit
from objectives.scores.score import Array, squared_bandwidth
from search import testing

X = np.array([(1, 1), (2, 3), (3, 2), (4, 4)], dtype=float)
Y = np.array([(1, 4), (2, 3), (3, 2), (4, 1)], dtype=float)


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def tied(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 5, shape).astype(float)


def dominated_by_hand(rows: Array) -> list[int]:
    return [sum(all(other < row) for other in rows) for row in rows]


def shares(rows: Array) -> Array:
    return np.array(dominated_by_hand(rows)) / (len(rows) - 1)


def ad_by_hand(real: Array, generated: Array) -> float:
    n, m, total = len(real), len(generated), 0.0
    for x, y in zip(real.T, np.sort(generated, axis=0).T, strict=True):
        ranks = []
        for point in sorted(set(y)):
            below, at, count = sum(x < point), sum(x == point), int(sum(y == point))
            parts = [(j + 0.5) / count for j in range(count)] if at > 1 else [1.0] * count
            ranks += [below + part * at for part in parts]
        u = [(1 + rank) / (n + 2) for rank in ranks]
        total -= m + sum((2 * i + 1) * (np.log(u[i]) + np.log(1 - u[m - 1 - i])) for i in range(m)) / m
    return float(total / real.shape[1])


def mmd_by_hand(real: Array, generated: Array, r: float) -> tuple[float, float]:
    n, m = len(real), len(generated)
    xx, yy, xy = (np.exp(-(cdist(a, b) ** 2) / r).sum() for a, b in ((real,) * 2, (generated,) * 2, (real, generated)))
    unbiased = (xx - n) / (n * (n - 1)) + (yy - m) / (m * (m - 1)) - 2 * xy / (n * m)
    return unbiased, xx / n**2 + yy / m**2 - 2 * xy / (n * m)


# Values worked out by hand and by independent code


def test_the_check_by_hand() -> None:
    assert kendall(X, Y) == pytest.approx(5 / 12, abs=1e-12)
    assert ad(X, Y) == pytest.approx(0.468304565809, abs=1e-12)
    assert ad(X, X + 100) == pytest.approx(3.89632410409, abs=1e-11)
    assert squared_bandwidth(X) == 5.0
    assert mmd(X, Y, 5.0) == pytest.approx(-0.133683578928, abs=1e-12)
    assert mmd_biased(X, Y, 5.0) == pytest.approx(0.174181486501, abs=1e-12)


@pytest.mark.parametrize(
    ("shift", "scale", "population", "tolerance"),
    [(0.5, 1.0, 0.0533037235805, 2e-4), (0.0, 2.0, 1 / 9, 2e-3)],
)
def test_mmd_between_normals_in_the_plane(shift: float, scale: float, population: float, tolerance: float) -> None:
    # Midpoints of equal probability make the biased form a quadrature of the population value.
    points = special.ndtri((np.arange(60) + 0.5) / 60)
    grid = np.stack(np.meshgrid(points, points), axis=-1).reshape(-1, 2)
    assert mmd_biased(grid, scale * grid + shift, 2.0) == pytest.approx(population, abs=tolerance)


def test_mmd_is_unbiased() -> None:
    values = mmd(normal(2000, 2), 0.5 + normal(40, 50, 2, seed=1), 2.0)
    assert values.mean() == pytest.approx(0.0533037235805, abs=4 * values.std() / np.sqrt(40) + 0.005)
    assert mmd(normal(1000, 2), normal(1000, 2, seed=2), 2.0) < 0.0011
    alike = np.array([float(mmd(normal(30, 2, seed=2 * k), normal(30, 2, seed=2 * k + 1), 2.0)) for k in range(400)])
    assert abs(alike.mean()) < 4 * alike.std() / 20


@pytest.mark.parametrize("draw", [normal, tied])
@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (40, 40, 2), (41, 23, 3), (17, 64, 1), (300, 270, 4)])
def test_all_agree_with_plain_formulas(draw: Callable[..., Array], n: int, m: int, d: int) -> None:
    real, generated = draw(n, d), draw(m, d, seed=1) * 1.5
    assert ad(real, generated) == pytest.approx(ad_by_hand(real, generated), abs=1e-10)
    expected = stats.wasserstein_distance(shares(real), shares(generated))
    assert kendall(real, generated) == pytest.approx(expected, abs=1e-12)
    unbiased, biased = mmd_by_hand(real, generated, 3.0)
    assert mmd(real, generated, 3.0) == pytest.approx(unbiased, abs=1e-12)
    assert mmd_biased(real, generated, 3.0) == pytest.approx(biased, abs=1e-12)


# Anderson-Darling


def test_ad_is_unchanged_by_one_increasing_map_of_both_samples() -> None:
    real, generated = normal(200, 3), normal(150, 3, seed=1)
    assert ad(np.exp(real), np.exp(generated)) == ad(real, generated) == ad(3 * real - 1, 3 * generated - 1)


def test_ad_is_asymmetric_positive_and_finite() -> None:
    real = tied(100, 2)
    samples = np.stack([real, real + 1e9, real - 1e9, np.zeros_like(real), np.full_like(real, np.finfo(float).max)])
    values = ad(real, samples)
    assert np.isfinite(values).all() and (values > 0).all()
    assert ad(normal(100, 1), normal(70, 1, seed=1)) != ad(normal(70, 1, seed=1), normal(100, 1))


def test_ad_of_a_perfect_generator_is_about_two_at_any_size_and_a_misfit_grows_linearly() -> None:
    values = [float(ad(normal(720, 4, seed=2 * k), normal(720, 4, seed=2 * k + 1))) for k in range(400)]
    assert np.mean(values) == pytest.approx(1.93, abs=0.13)
    np.testing.assert_allclose(np.quantile(values, [0.05, 0.95]), [0.93, 3.5], rtol=0.12)
    small, large = (float(ad(normal(n, 4), normal(n, 4, seed=1) + 1)) for n in (2000, 8000))
    assert large / small == pytest.approx(4.0, rel=0.1)


DISCRETE: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "flags": lambda n, draw: (draw.random((n, 3)) < (0.5, 0.2, 0.03)).astype(float),
    "counts": lambda n, draw: draw.poisson((0.5, 3, 30), (n, 3)).astype(float),
    "half zeros": lambda n, draw: np.where(draw.random((n, 3)) < 0.5, 0.0, draw.lognormal(size=(n, 3))),
    "every row twice": lambda n, draw: np.repeat(draw.standard_normal((-(-n // 2), 3)), 2, axis=0)[:n],
}


@pytest.mark.parametrize("name", DISCRETE)
def test_ad_of_real_rows_with_ties_is_that_of_rows_without_them_at_most(name: str) -> None:
    draw = np.random.default_rng(0)
    values = [float(ad(DISCRETE[name](720, draw), DISCRETE[name](720, draw))) for _ in range(60)]
    assert min(values) > 0.0 and np.quantile(values, 0.95) < 4.5 * (2 if name == "every row twice" else 1)


@pytest.mark.parametrize("name", ["flags", "counts"])
def test_ad_ranks_real_rows_before_smeared_and_shifted_ones(name: str) -> None:
    draw = np.random.default_rng(1)
    for _ in range(20):
        real, fresh = DISCRETE[name](400, draw), DISCRETE[name](400, draw)
        others = [fresh + draw.uniform(-0.5, 0.5, fresh.shape), fresh + 1e-9, fresh - 1e-9, fresh + 1]
        assert 3 * ad(real, fresh) < min(float(ad(real, other)) for other in others)


# Kendall


@pytest.mark.parametrize("n", [1, 63, 64, 65, 511, 513, 2048, 2049, 4500])
@pytest.mark.parametrize("draw", [normal, tied])
def test_dominance_counts_at_the_edges_of_words_blocks_and_tiles(draw: Callable[..., Array], n: int) -> None:
    rows = draw(n, 3)
    expected = np.zeros(n, dtype=np.int64)
    for row in rows:
        expected += (row < rows).all(axis=1)
    np.testing.assert_array_equal(dominated(rows), expected)


def test_dominance_is_strict_and_serves_many_columns() -> None:
    np.testing.assert_array_equal(dominated(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])), [0, 0, 1, 1])
    rows = normal(100, 1) + 0.1 * normal(100, 12, seed=1)
    np.testing.assert_array_equal(dominated(rows), dominated_by_hand(rows))


def test_kendall_holds_tau() -> None:
    rows = normal(500, 2) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    tau = stats.kendalltau(rows[:, 0], rows[:, 1]).statistic
    assert 4 * dominated(rows).mean() / 499 - 1 == pytest.approx(tau, abs=1e-12)


def test_kendall_is_blind_to_increasing_maps_of_any_margin() -> None:
    real, generated = normal(200, 2), normal(150, 2, seed=1)
    mapped = np.column_stack([np.exp(generated[:, 0]), generated[:, 1] ** 3 - 7])
    assert kendall(real, mapped) == kendall(real, generated)


def test_kendall_stays_in_its_range() -> None:
    line = np.tile(np.arange(1001.0)[:, None], (1, 2))
    assert kendall(line, line * [1, -1]) == pytest.approx(0.5)
    assert kendall(normal(200, 1), normal(200, 1, seed=1)) == pytest.approx(0.0, abs=1e-15)
    assert kendall(line, line[::-1]) == 0.0


def test_kendall_of_a_perfect_generator_and_of_independent_columns() -> None:
    problem, generator = Returns4D(), np.random.default_rng(0)
    root = np.linalg.cholesky(np.sin(np.pi * problem.tau / 2))
    values = [float(kendall(*(generator.standard_normal((2, 720, 4)) @ root.T))) for _ in range(300)]
    assert np.mean(values) == pytest.approx(0.012, abs=0.0015)
    np.testing.assert_allclose(np.quantile(values, [0.05, 0.95]), [0.006, 0.019], atol=0.002)
    # The same tau with joint tails makes R vary more.
    heavy = [float(kendall(*problem.pair(720, 720, generator))) for _ in range(200)]
    assert np.mean(heavy) == pytest.approx(0.013, abs=0.0015)
    real, other = problem.pair(720, 720, generator)
    assert kendall(real, generator.permuted(other, axis=0)) == pytest.approx(0.12, abs=0.02)


# MMD


def test_the_ruler_is_the_median_over_pairs_of_training_rows_only() -> None:
    train = normal(300, 3)
    assert squared_bandwidth(train) == np.median(pdist(train) ** 2)
    reference = Reference.of(train, 100 * normal(200, 3, seed=1))
    unit = train.std(axis=0)
    ruler = np.median(pdist(train / unit) ** 2)
    assert reference.squared_bandwidth == pytest.approx(ruler, rel=1e-12)
    generated = 50 * normal(1, 200, 3, seed=2)
    measure = SCORES["mmd"](reference)(generated)
    unbiased, biased = mmd_by_hand(reference.held / unit, generated[0] / unit, ruler)
    assert measure.value[0] == pytest.approx(unbiased, abs=1e-12)
    assert measure.positive[0] == pytest.approx(biased, abs=1e-12)


def test_the_ruler_takes_2000_rows_by_seed() -> None:
    train = normal(2500, 2)
    assert squared_bandwidth(train, 1) == squared_bandwidth(train, 1) != squared_bandwidth(train, 2)
    assert squared_bandwidth(train, 1) == pytest.approx(np.median(pdist(train) ** 2), rel=0.1)
    assert squared_bandwidth(train[:2000], 1) == squared_bandwidth(train[:2000], 2)


def test_the_ruler_of_rows_that_mostly_coincide_is_never_zero() -> None:
    assert squared_bandwidth(np.array([[0.0]] * 9 + [[2.0]])) == 4.0
    with pytest.raises(ValueError, match=r"^all training rows are equal"):
        squared_bandwidth(np.ones((5, 2)))


def test_mmd_is_exact_far_from_the_origin_and_bounded_for_wild_generators() -> None:
    real, generated = normal(50, 2), normal(60, 2, seed=1)
    assert mmd(real + 2.0**20, generated + 2.0**20, 2.0) == pytest.approx(float(mmd(real, generated, 2.0)), abs=1e-9)
    assert mmd_biased(real, 1e300 * generated, 2.0) == pytest.approx(mmd_by_hand(real, real, 1e-9)[1] + 1 / 60, abs=0.5)
    assert mmd_biased(real, real, 2.0) >= 0.0


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_rulers_that_measure_nothing_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected a finite number above 0"):
        mmd(X, Y, wrong)


# Overfit


def test_overfit_tells_copies_from_fresh_rows() -> None:
    train, held, fresh = normal(3, 1000, 3)
    assert overfit(train, held, train) == 1.0 and overfit(train, held, held) == 0.0
    assert overfit(train, held, train + 1e-3 * fresh) > 0.98
    assert overfit(train, held, fresh) == pytest.approx(0.5, abs=0.08)


def test_overfit_weighs_splits_equally_and_counts_ties_half() -> None:
    large = normal(4000, 2)
    assert overfit(large, normal(500, 2, seed=1), normal(1000, 2, seed=2)) == pytest.approx(0.5, abs=0.08)
    assert overfit(normal(500, 2, seed=1), large, normal(1000, 2, seed=2)) == pytest.approx(0.5, abs=0.08)
    assert overfit(X, X, Y) == 0.5


@pytest.mark.parametrize("draw", [normal, tied])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_overfit_is_the_plain_formula_ties_or_not(draw: Callable[..., Array], d: int) -> None:
    train, held, generated = draw(80, d), draw(80, d, seed=1), draw(3, 120, d, seed=2)
    unit = train.std(axis=0)
    expected = []
    for sample in generated:
        to_train, to_held = (cdist(sample / unit, rows / unit).min(axis=1) for rows in (train, held))
        tied_splits = np.isclose(to_train, to_held, rtol=0, atol=1e-9)
        expected.append(np.where(tied_splits, 0.5, to_train < to_held).mean())
    np.testing.assert_allclose(overfit(train, held, generated), expected, rtol=0, atol=1e-15)


def test_overfit_does_not_depend_on_units() -> None:
    train, held, generated = normal(3, 200, 2)
    units = np.array([1e-3, 512.0])
    assert overfit(train * units, held * units, generated * units) == overfit(train, held, generated)
    flat = np.array([1.0, 0.0])
    assert overfit(train * flat, held * flat, generated * flat) == overfit(train[:, :1], held[:, :1], generated[:, :1])


# All scores


SLOW = {"c2st"}  # it trains trees


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in sorted(SCORES)])
def score(request: pytest.FixtureRequest) -> Score:
    return SCORES[request.param](testing.reference_rows())


SERVING: dict[str, Callable[[Array], Array]] = {"modes": lambda rows: rows[..., :3]}
UNITS = np.array([1e-3, 1.0, 777.0, 2.0**20, 0.3])


def dependent(*shape: int, seed: int) -> Array:
    """Five positive columns, each wider than the one before, of which no two are alike."""
    rows = normal(*shape, 5, seed=seed) @ np.triu(np.ones((5, 5)))
    return np.asarray(np.exp(0.4 * rows) + np.arange(5))


def measured(name: str, train: Array, held: Array, generated: Array) -> Array:
    measure = SCORES[name](Reference.of(train, held))(generated)
    return np.stack([measure.value, measure.positive])


@pytest.mark.parametrize("name", [*sorted(SCORES.keys() - {"c2st"}), pytest.param("c2st", marks=pytest.mark.slow)])
def test_neither_units_nor_the_order_of_rows_or_columns_matters(name: str) -> None:
    serving = SERVING.get(name, lambda rows: rows)
    # More than 2,000 rows, so that whatever takes a random choice has to take one.
    train, held, made = (
        serving(dependent(*shape, seed=seed)) for seed, shape in enumerate([(2300,), (1200,), (2, 1100)])
    )
    value = measured(name, train, held, 1.1 * made)
    units = UNITS[: train.shape[1]]
    # Ratios of tails belong to positive columns, which an offset makes others.
    offset = 0.0 if name == "tail" else 5.0 * units
    moved = measured(name, train * units + offset, held * units + offset, 1.1 * made * units + offset)
    np.testing.assert_allclose(moved, value, rtol=1e-7, atol=1e-10)
    dice = np.random.default_rng(9)
    shuffled = measured(name, dice.permutation(train), dice.permutation(held), dice.permutation(1.1 * made, axis=1))
    np.testing.assert_allclose(shuffled, value, rtol=1e-9, atol=1e-12)
    order = np.roll(np.arange(train.shape[1]), 2)[::-1]
    swapped = measured(name, train[:, order], held[:, order], 1.1 * made[:, :, order])
    np.testing.assert_allclose(swapped, value, rtol=1e-9, atol=1e-12)


def test_pairs_of_many_columns_are_those_of_the_same_columns_in_any_order() -> None:
    train, held, made = (normal(60, 24, seed=seed) @ np.triu(np.ones((24, 24))) for seed in range(3))
    order = np.random.default_rng(1).permutation(24)
    there = measured("tau_error", train, held, made[np.newaxis])
    back = measured("tau_error", train[:, order], held[:, order], made[np.newaxis, :, order])
    np.testing.assert_allclose(there, back, rtol=1e-12)


def test_columns_that_are_constant_in_training_keep_their_unit() -> None:
    train, held, made = (np.column_stack([normal(100, seed=seed), np.full(100, 0.1)]) for seed in range(3))
    made[:, 1] += 0.5
    scale = Reference.of(train, held).scale
    np.testing.assert_allclose(np.ptp(np.concatenate([scale(held), scale(made)])[:, scale.order == 1], axis=0), 0.5)


@pytest.mark.parametrize("clause", testing.SCORES, ids=lambda clause: clause.__name__)
def test_registered_scores(score: Score, clause: Callable[[Score], None]) -> None:
    clause(score)


@pytest.mark.parametrize("shape", [(3,), (150, 2), (2, 150, 2), (2, 1, 3)])
def test_the_shape_of_a_refused_pack_is_told(score: Score, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^generated rows of shape"):
        score(normal(*shape))


def test_which_scores_rank_and_serve() -> None:
    assert {name: score.ranking for name, score in SCORES.items()} == {
        "ad": True,
        "kendall": True,
        "mmd": True,
        "overfit": False,
        "tail": False,
        "tau_error": False,
        "energy": False,
        "sliced_wasserstein": False,
        "wasserstein": False,
        "modes": False,
        "clusters": False,
        "coverage": False,
        "c2st": False,
        "tail_dependence": False,
        "var_es": False,
    }
    assert {name: score.ranks_for for name, score in SCORES.items() if score.ranks_for} == {"tau_error": "kendall"}
    assert set(STANDARD) <= set(SCORES)
    positive = np.abs(normal(50, 4))
    for rows, missing in (
        (positive[:, :1], {"kendall", "tau_error", "tail_dependence"}),
        (positive[:, :2], set()),
        (positive, {"modes"}),
        (-positive[:, :2], set()),
    ):
        assert {name for name, score in SCORES.items() if not score.serves(rows)} == missing


def test_real_rows_are_checked() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Reference.of(X, np.where(Y > 3, np.nan, Y))
    with pytest.raises(ValueError, match=r"expected \[rows >= 2, columns >= 1\]"):
        Reference.of(X[:1], Y)
    with pytest.raises(ValueError, match="train has 2 columns and held 1"):
        Reference.of(X, Y[:, :1])
    with pytest.raises(ValueError, match="train has 2 columns and held 1"):
        overfit(X, Y[:, :1], X)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SCORES))
def test_memory_is_bounded_at_fifty_thousand_rows(name: str) -> None:
    code = f"""
import resource, numpy as np
from objectives import SCORES
from objectives.scores import Reference
rows = np.abs(np.random.default_rng(0).standard_normal((3, 50_000, {3 if name == "modes" else 4})))
reference = Reference.of(rows[0], rows[1])
SCORES[{name!r}](Reference.of(rows[0, :50], rows[1, :50]))(rows[2:, :50])  # what it imports isn't the rows' memory
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
measure = SCORES[{name!r}](reference)(rows[2:])
assert np.isfinite(measure.value).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 60, f"{name} took {done.stdout.strip()} MiB"
