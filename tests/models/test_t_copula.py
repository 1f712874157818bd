"""t copula: its fit, density and tails against scipy and the truth of the problem returns_4d."""

import numpy as np
import pytest
import torch
from scipy import stats

from models import GaussianCopula, Noise, Shape, TCopula
from models.t_copula import MOST, StudentScores, _correlation, _kendall
from objectives import SCORES
from objectives.problems.returns import COPULA_DEGREES, Returns4D
from objectives.scores import Reference

SHAPE = Shape(features=4, source="normal", source_features=4)
PROBLEM = Returns4D()


def fitted(count: int, seed: int = 0) -> TCopula:
    rows = PROBLEM.pair(count, 2, np.random.default_rng(seed))[0]
    model = TCopula(SHAPE, 0)
    model.fit(torch.from_numpy(rows).float().unsqueeze(0), 0)
    return model


@pytest.mark.parametrize("degrees", [1.0, 2.7, 4.0, 30.0])
def test_scores_and_values_are_those_of_students_t(degrees: float) -> None:
    student = StudentScores()
    student.set(degrees)
    scores = torch.linspace(-5.0, 5.0, 777).view(1, -1, 1)
    known = stats.t(degrees).ppf(stats.norm.cdf(-scores.abs().double().numpy())) * -np.sign(scores.numpy())
    assert student.value(scores).numpy() == pytest.approx(known, rel=1e-4, abs=1e-4)
    torch.testing.assert_close(student.score(student.value(scores)), scores, rtol=1e-5, atol=1e-5)


def test_spread_makes_normal_rows_those_of_students_t() -> None:
    student = StudentScores()
    student.set(3.0)
    noise = Noise([1], 20000)
    rows = noise.normal("rows", [1]) * student.spread(noise)
    assert stats.kstest(rows.flatten().numpy(), stats.t(3.0).cdf).pvalue > 1e-3


def test_fit_finds_the_truth() -> None:
    found = [fitted(4000, seed) for seed in range(5)]
    degrees = [model.architecture()[0]["degrees"] for model in found]
    assert np.mean(degrees) == pytest.approx(COPULA_DEGREES, abs=0.35)
    factor = found[0].dependence.factor[0, 0].double()
    assert (factor @ factor.T).numpy() == pytest.approx(np.sin(np.pi * PROBLEM.tau / 2), abs=0.05)
    assert found[0].architecture()[0]["parameters"] == 1 + 6 + 4 * 2000


@pytest.mark.parametrize(("count", "error"), [(600, 1e-9), (3000, 0.006)])  # of all pairs, and of some
def test_tau_is_scipys(count: int, error: float) -> None:
    rows = np.round(PROBLEM.pair(count, 2, np.random.default_rng(1))[0], 1)  # many values are equal
    found = _kendall(torch.from_numpy(rows), torch.Generator().manual_seed(0))
    for j in range(4):
        for k in range(4):
            known = stats.kendalltau(rows[:, j], rows[:, k]).statistic
            assert float(found[j, k]) == pytest.approx(known, abs=error)


def test_density_is_that_of_the_t_copula() -> None:
    model = fitted(500)
    x = torch.from_numpy(PROBLEM.pair(50, 2, np.random.default_rng(9))[0]).float().unsqueeze(0)
    degrees, factor = model.architecture()[0]["degrees"], model.dependence.factor[0, 0].double().numpy()
    values = stats.t(degrees).ppf(stats.norm.cdf(model.margins.scores(x)[0].double().numpy()))
    joint = stats.multivariate_t(shape=factor @ factor.T, df=degrees).logpdf(values)  # type: ignore[arg-type]
    truth = joint - stats.t(degrees).logpdf(values).sum(1)
    assert model.log_density(x)[0].numpy() == pytest.approx(truth, rel=1e-3, abs=1e-3)


def test_extremes_come_together_as_in_the_rows() -> None:
    train = PROBLEM.pair(8000, 2, np.random.default_rng(3))[0]
    reference = Reference.of(train, PROBLEM.pair(8000, 2, np.random.default_rng(4))[0])
    measure = SCORES["tail_dependence"](reference)
    errors = []
    for model in (TCopula(SHAPE, 0), GaussianCopula(SHAPE, 0)):
        model.fit(torch.from_numpy(train).float().unsqueeze(0), 0)
        errors.append(float(measure(model.sample(Noise([1], 8000)).double().numpy()).value[0]))
    assert errors[0] < 0.04 < errors[1]


def test_one_column_and_normal_dependence_are_served() -> None:
    dice = np.random.default_rng(0)
    rows = torch.from_numpy(dice.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 3000)).float().unsqueeze(0)
    pair = TCopula(Shape(2, "normal", 2), 0)
    pair.fit(rows, 0)
    assert pair.architecture()[0]["degrees"] > 15
    alone = TCopula(Shape(1, "normal", 1), 0)
    alone.fit(rows[..., :1], 0)
    assert alone.architecture()[0]["degrees"] == pytest.approx(MOST)
    assert alone.log_density(rows[..., :1]).abs().max() < 1e-4
    drawn = alone.sample(Noise([1], 3000))[0, :, 0].numpy()
    assert stats.ks_2samp(drawn, rows[0, :, 0].numpy()).pvalue > 1e-3


def test_pairs_that_fit_no_matrix_are_brought_to_one() -> None:
    # Each pair of these columns is strongly dependent, with signs that three columns can't have at once.
    tau = torch.tensor([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]], dtype=torch.float64)
    near = _correlation(tau)
    assert torch.linalg.eigvalsh(near).min() > 0 and near.diagonal().numpy() == pytest.approx(1.0)
    assert torch.equal(near.sign(), tau.sign())


def test_a_wrong_argument_is_named() -> None:
    with pytest.raises(ValueError, match="quantiles must be at least 2, got 1"):
        TCopula(SHAPE, 0, quantiles=1)
