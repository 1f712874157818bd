"""The generalised Pareto distribution, and the features that give a generator its tail."""

import math
from collections.abc import Callable

import pytest
import torch
from numpy.random import Generator, default_rng
from scipy import stats
from torch import Tensor

from models import pareto
from models.features import ParetoTail, QuantileNormal, TailLayer

SHAPES = [0.0, 1e-12, 1e-6, 0.05, 0.3, 0.9]


def column(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).reshape(-1, 1)


def heavy(n: int, seed: int = 0) -> Tensor:
    """Absolute values of a t distribution with 3 degrees of freedom, of unlike scales."""
    draws = stats.t.rvs(3, size=(n, 2), random_state=default_rng(seed))
    return torch.tensor([1.0, 1e-3], dtype=torch.float64) * torch.as_tensor(draws).abs()


def scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


# The distribution


@pytest.mark.parametrize("shape", SHAPES)
def test_survival_and_quantile_agree_with_scipy(shape: float) -> None:
    values = torch.logspace(-12, 2.5, 200, dtype=torch.float64)
    logs = pareto.log_survival(values, scalar(2.0), scalar(shape))
    expected = torch.as_tensor(stats.genpareto(shape, scale=2.0).logsf(values.numpy()))
    torch.testing.assert_close(logs, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(pareto.quantile(logs, scalar(2.0), scalar(shape)), values, rtol=1e-10, atol=0)


def errors_of_fits(draw: object, n: int, truth: float, fits: int) -> tuple[float, float]:
    """Root mean squared errors of the logarithm of the 99.5 % quantile: ours and of scipy's maximum likelihood."""
    ours, theirs = [], []
    for seed in range(fits):
        values = draw(n, default_rng([n, seed]))  # type: ignore[operator]
        scale, shape = pareto.fitted(torch.as_tensor(values))
        ours.append(math.log(pareto.quantile(scalar(math.log(0.005)), scale, shape).item() / truth))
        shape_ml, _, scale_ml = stats.genpareto.fit(values, floc=0)
        theirs.append(math.log(stats.genpareto.isf(0.005, shape_ml, scale=scale_ml) / truth))
    return tuple(math.sqrt(sum(error**2 for error in errors) / fits) for errors in (ours, theirs))  # type: ignore[return-value]


def pareto_draw(n: int, generator: Generator) -> object:
    return stats.genpareto.rvs(0.3, size=n, random_state=generator)


def exceeding_draw(n: int, generator: Generator) -> object:
    """What exceeds the 90 % quantile of a half-t distribution with 3 degrees of freedom, `n` of them."""
    threshold = stats.t.isf(0.05, 3)
    return stats.t.isf(0.05 * generator.random(n), 3) - threshold


@pytest.mark.parametrize("n", [72, 720])
@pytest.mark.parametrize("draw", [pareto_draw, exceeding_draw])
def test_the_fit_is_about_as_good_as_maximum_likelihood(draw: object, n: int) -> None:
    truth = (
        stats.genpareto.isf(0.005, 0.3) if draw is pareto_draw else stats.t.isf(0.05 * 0.005, 3) - stats.t.isf(0.05, 3)
    )
    ours, theirs = errors_of_fits(draw, n, truth, 40)
    assert ours < (1.0 if n == 72 else 1.3) * theirs
    assert ours < (0.5 if n == 72 else 0.2)


def test_the_fit_of_many_values_is_the_truth() -> None:
    scale, shape = pareto.fitted(torch.as_tensor(stats.genpareto.rvs(0.3, scale=5, size=200_000, random_state=1)))
    assert shape.item() == pytest.approx(0.3, abs=0.015)
    assert scale.item() == pytest.approx(5, rel=0.015)


def test_the_fit_does_not_depend_on_order_and_scales_with_the_unit() -> None:
    values = heavy(100)[:, 0]
    scale, shape = pareto.fitted(values)
    other_scale, other_shape = pareto.fitted(8 * values.flip(0))
    torch.testing.assert_close(other_scale, 8 * scale)
    torch.testing.assert_close(other_shape, shape)


def test_light_tails_are_exponential() -> None:
    values = torch.rand(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale, shape = pareto.fitted(values)
    assert shape.item() == 0
    assert scale.item() == pytest.approx(values.mean().item())


@pytest.mark.parametrize(
    ("values", "scale"), [([], 0.0), ([0.0] * 5, 0.0), ([3.3], 3.3), ([2.0] * 7, 2.0), ([1e-300] * 3, 1e-300)]
)
def test_the_fit_survives_degenerate_values(values: list[float], scale: float) -> None:
    found, shape = pareto.fitted(torch.tensor(values, dtype=torch.float64))
    assert found.item() == pytest.approx(scale)
    assert shape.item() == 0


# The tail layer


def layer(scale: float, shape: float) -> TailLayer:
    features = TailLayer(column([0.0, 1 / 3]))  # of any numbers from 0
    features.scale, features.shape = (torch.tensor([value], dtype=torch.float64) for value in (scale, shape))
    return features


def test_the_tail_layer_by_hand() -> None:
    features = layer(1.0, 0.3)
    assert features.inverse(column([1.959964])).item() == pytest.approx(4.8548535, abs=1e-7)
    assert features.inverse(column([-1.959964])).item() == pytest.approx(4.8548535, abs=1e-7)
    assert features(column([4.8548535])).item() == pytest.approx(1.959964, abs=1e-7)
    assert features.inverse(column([0.0])).item() == 0
    assert features(column([0.0, -5.0])).abs().max() == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_the_tail_layer_is_exact_far_out(shape: float) -> None:
    features = layer(2.0, shape)
    z = torch.linspace(0.01, 37, 300, dtype=torch.float64).unsqueeze(1)
    torch.testing.assert_close(features(features.inverse(z)), z, rtol=1e-9, atol=0)
    expected = torch.as_tensor(stats.norm.logsf(z.numpy())) + math.log(2)
    torch.testing.assert_close(
        torch.as_tensor(stats.genpareto(shape, scale=2.0).logsf(features.inverse(z).numpy())),
        expected,
        rtol=1e-8,
        atol=0,
    )


def test_the_tail_layer_makes_normal_noise_generalised_pareto() -> None:
    features = layer(2.0, 0.3)
    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = features.inverse(noise)
    assert stats.kstest(made[:, 0].numpy(), stats.genpareto(0.3, scale=2).cdf).pvalue > 0.01
    torch.testing.assert_close(features(made), noise.abs(), rtol=1e-9, atol=1e-9)


# The Pareto tail


def test_the_pareto_tail_is_quantile_normal_below_its_threshold() -> None:
    rows = heavy(720)
    features, plain = ParetoTail(rows), QuantileNormal(rows)
    body = torch.linspace(-5, 1.25, 100, dtype=torch.float64).unsqueeze(1).expand(-1, 2)
    assert torch.equal(features.inverse(body), plain.inverse(body))
    low = torch.where(rows <= features.threshold, rows, torch.zeros_like(rows))
    assert torch.equal(features(low), plain(low))
    assert ((rows > features.threshold).sum(0) == 72).all()


@pytest.mark.parametrize("n", [11, 720])
def test_the_pareto_tail_is_continuous_at_its_threshold(n: int) -> None:
    features = ParetoTail(heavy(n))
    at = features(features.threshold.unsqueeze(0))
    for step in (-1e-9, 1e-9):
        torch.testing.assert_close(features.inverse(at + step)[0], features.threshold, rtol=1e-7, atol=0)
    just_above = features((features.threshold * (1 + 1e-9)).unsqueeze(0))
    torch.testing.assert_close(just_above, at, rtol=0, atol=1e-6)
    assert (just_above >= at).all()


def test_the_pareto_tail_with_ties_at_its_threshold() -> None:
    rows = column([0] * 5 + [1] * 10 + [4, 5])
    features = ParetoTail(rows)
    assert features.threshold.item() == 4
    torch.testing.assert_close(features.inverse(features(rows)), rows)
    tied = column([0] * 5 + [3] * 12)
    assert ParetoTail(tied).inverse(column([-9.0, 0.0, 9.0]))[:, 0].tolist() == [0, 3, 3]


def test_the_pareto_tail_exceeds_the_training_rows_as_often_as_new_rows_do() -> None:
    ratios = []
    for seed in range(40):
        features = ParetoTail(heavy(720, seed)[:, :1])
        far = features.inverse(column([stats.norm.isf(1e-4)])).item()
        assert features.inverse(column([9.0])).item() > 2 * features.sorted.max().item()
        ratios.append(math.log(far / stats.t.isf(0.5e-4, 3)))
    assert abs(sum(ratios) / 40) < 0.3  # a factor; the training maximum is too small by 0.7 at this probability


def test_the_pareto_tail_is_exact_far_out() -> None:
    features = ParetoTail(heavy(720))
    z = torch.linspace(1.3, 37, 200, dtype=torch.float64).unsqueeze(1).expand(-1, 2)
    torch.testing.assert_close(features(features.inverse(z)), z, rtol=1e-9, atol=0)
    assert (features.inverse(z).diff(dim=0) > 0).all()


# Two tails


def signed(n: int, seed: int = 0) -> Tensor:
    """A t distribution with 3 degrees of freedom, a skewed one, and one of one tail."""
    dice = default_rng(seed)
    draws = [stats.t.rvs(3, size=n, random_state=dice), dice.exponential(size=n) ** 2 - 0.5, dice.pareto(3, n)]
    return torch.stack([torch.as_tensor(draw) for draw in draws], 1)


@pytest.mark.parametrize("make", [TailLayer, ParetoTail])
def test_a_column_without_negative_values_has_one_tail(make: Callable[[Tensor], TailLayer | ParetoTail]) -> None:
    rows = signed(720)
    features, alone = make(rows), make(rows[:, 2:])
    assert features.sides.tolist() == [2, 2, 1]
    z = torch.linspace(-9, 9, 99, dtype=torch.float64).unsqueeze(1)
    assert torch.equal(features.inverse(z.expand(-1, 3))[:, 2:], alone.inverse(z))
    assert alone.inverse(z).min() >= 0 > features.inverse(z.expand(-1, 3))[:, 0].min()


@pytest.mark.parametrize("make", [TailLayer, ParetoTail])
def test_two_tails_are_exact_far_out_and_rise(make: Callable[[Tensor], TailLayer | ParetoTail]) -> None:
    features = make(signed(720)[:, :2])
    far = torch.linspace(1.4, 30, 150, dtype=torch.float64)
    z = torch.cat([-far.flip(0), far]).unsqueeze(1).expand(-1, 2)
    rows = features.inverse(z)
    torch.testing.assert_close(features(rows), z, rtol=1e-7, atol=0)
    assert (rows.diff(dim=0) > 0).all()


def test_mirrored_rows_have_mirrored_features() -> None:
    rows = signed(721)[:, :1]  # an odd number, whose median is a row
    rows = torch.cat([rows, -rows])  # both signs alike
    for make in (TailLayer, ParetoTail):
        features = make(rows)
        torch.testing.assert_close(features.lower_shape, features.shape, rtol=0.02, atol=1e-3)
        z = torch.linspace(0.5, 6, 50, dtype=torch.float64).unsqueeze(1)
        torch.testing.assert_close(features.inverse(-z), -features.inverse(z), rtol=0.05, atol=0.05)


def test_two_pareto_tails_meet_the_training_quantiles() -> None:
    features = ParetoTail(signed(720)[:, :2])
    for threshold in (features.threshold, features.lower_threshold):
        at = features(threshold.unsqueeze(0))
        for step in (-1e-9, 1e-9):
            torch.testing.assert_close(features.inverse(at + step)[0], threshold, rtol=1e-6, atol=1e-7)


def test_normal_noise_becomes_what_the_tail_layer_was_fitted_to() -> None:
    train = stats.laplace.rvs(size=(4000, 1), random_state=default_rng(1)) + 1  # two exponential halves
    made = TailLayer(torch.as_tensor(train)).inverse(column(default_rng(2).standard_normal(4000)))
    assert stats.kstest(made[:, 0].numpy(), stats.laplace(1).cdf).pvalue > 0.01


def test_two_pareto_tails_exceed_the_training_rows_as_often_as_new_rows_do() -> None:
    ratios = []
    for seed in range(40):
        features = ParetoTail(signed(720, seed)[:, :1])
        assert features.inverse(column([-9.0])).item() < 2 * features.sorted.min().item()
        ends = features.inverse(column([stats.norm.ppf(1e-4), stats.norm.isf(1e-4)]))[:, 0]
        ratios += [math.log(-ends[0].item() / stats.t.isf(1e-4, 3)), math.log(ends[1].item() / stats.t.isf(1e-4, 3))]
    assert abs(sum(ratios) / 80) < 0.3
