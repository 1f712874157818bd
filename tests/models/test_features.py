"""The maps between a user's units and what a network sees are inverse to one another."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from models.features import FEATURES, Log1p, QuantileNormal, Standard, Unit

every = pytest.mark.parametrize("name", FEATURES)


def table(n: int = 500) -> Tensor:
    """Columns of unlike scales: lognormal, tiny uniform, counts with many ties, large with an offset."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    return torch.stack(
        [x[:, 0].exp(), 1e-6 * torch.special.ndtr(x[:, 1]), (x[:, 2].abs() * 2).round(), 1e5 + x[:, 3]], 1
    )


@every
def test_round_trip_on_training_rows(name: str) -> None:
    rows = table()
    features = FEATURES[name](rows)
    seen = features(rows)
    assert seen.shape == rows.shape
    assert seen.dtype == torch.float64
    torch.testing.assert_close(features.inverse(seen), rows, rtol=1e-9, atol=1e-12)


@every
def test_forward_of_inverse(name: str) -> None:
    rows = table()[:, [0, 3]]
    features = FEATURES[name](rows)
    seen = features(rows)
    # Normal scores are a step function of the row: a rounding error may cost half a rank.
    error = torch.special.ndtr(features(features.inverse(seen))) - torch.special.ndtr(seen)
    assert error.abs().max() <= (0.51 / len(rows) if name in ("quantile_normal", "pareto_tail") else 1e-9)


@every
def test_each_column_is_mapped_on_its_own_and_increasing(name: str) -> None:
    rows = table()
    seen = FEATURES[name](rows)(rows)
    for column in range(rows.shape[1]):
        alone = FEATURES[name](rows[:, [column]])
        torch.testing.assert_close(alone(rows[:, [column]])[:, 0], seen[:, column], rtol=1e-9, atol=1e-9)
        order = rows[:, column].argsort()
        assert (seen[order, column].diff() >= 0).all()
        grid = torch.linspace(0 if name == "tail_layer" else -3, 3, 200, dtype=torch.float64).unsqueeze(1)
        assert (alone.inverse(grid).diff(dim=0) >= 0).all()


@every
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e6 + 0.1])
def test_constant_columns(name: str, value: float) -> None:
    rows = table(1001)
    rows[:, 1] = value
    features = FEATURES[name](rows)
    assert features(rows).isfinite().all()
    torch.testing.assert_close(features.inverse(features(rows)), rows, rtol=1e-9, atol=1e-12)
    nearby = rows + 1e-3
    assert features(nearby)[:, 1].abs().max() < 10
    assert features.inverse(torch.zeros(3, 4, dtype=torch.float64)).isfinite().all()
    alone = FEATURES[name](rows[:, [1]])  # torch sums a lone column in another order, with a rounding error of its own
    assert alone(nearby[:, [1]]).abs().max() < 10


@every
def test_the_fitted_map_is_in_the_state(name: str) -> None:
    rows = table()
    fitted, other = FEATURES[name](rows), FEATURES[name](rows.flip(1) + 1)
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other(rows), fitted(rows))


def test_standard_has_zero_mean_and_unit_deviation() -> None:
    seen = Standard(table())(table())
    torch.testing.assert_close(seen.mean(0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(seen.std(0, correction=0), torch.ones(4, dtype=torch.float64))


def test_unit_fills_the_unit_interval() -> None:
    seen = Unit(table())(table())
    assert seen.amin(0).tolist() == [0] * 4
    assert seen.amax(0).tolist() == [1] * 4


def test_log1p_does_not_depend_on_the_unit() -> None:
    rows = table()[:, :2]
    torch.testing.assert_close(Log1p(1000 * rows)(1000 * rows), Log1p(rows)(rows))


def test_log1p_standardises_logarithms() -> None:
    rows = table()[:, :1]
    seen = Log1p(rows)(rows)
    expected = torch.log(1 + rows / rows.median())
    torch.testing.assert_close(seen, (expected - expected.mean()) / expected.std(correction=0))


def test_negative_rows_are_refused() -> None:
    rows = table()
    rows[7, 2] = -1
    with pytest.raises(ValueError, match=r"^log1p features need rows of at least 0; column 3 has negative ones$"):
        Log1p(rows)


def test_log1p_never_returns_negative_rows() -> None:
    features = Log1p(table())
    assert features.inverse(torch.full((2, 4), -50, dtype=torch.float64)).min() == 0
    assert features(-table()).isfinite().all()


def test_log1p_of_mostly_zeros() -> None:
    rows = torch.zeros(9, 1, dtype=torch.float64)
    rows[0] = 5
    torch.testing.assert_close(Log1p(rows).inverse(Log1p(rows)(rows)), rows)


def test_quantile_normal_scores_are_standard_normal() -> None:
    rows = table(2000)[:, [0, 1, 3]]
    seen = QuantileNormal(rows)(rows)
    for column in range(3):
        assert stats.kstest(seen[:, column].numpy(), "norm").statistic < 0.001
    torch.testing.assert_close(seen.mean(0), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-9)


def test_quantile_normal_gives_ties_their_mid_rank() -> None:
    rows = torch.tensor([3.0, 1, 3, 2, 3], dtype=torch.float64).unsqueeze(1)
    expected = stats.norm.ppf((stats.rankdata(rows[:, 0].numpy()) - 0.5) / 5)
    features = QuantileNormal(rows)
    assert features(rows)[:, 0].tolist() == pytest.approx(expected.tolist())
    torch.testing.assert_close(features.inverse(features(rows)), rows)


def test_quantile_normal_stays_inside_the_training_range() -> None:
    rows = table()
    features = QuantileNormal(rows)
    far = torch.tensor([-40.0, -3, 0, 3, 40], dtype=torch.float64).unsqueeze(1).expand(-1, 4)
    back = features.inverse(far)
    assert (back >= rows.amin(0)).all()
    assert (back <= rows.amax(0)).all()
    assert torch.equal(back[0], rows.amin(0))
    assert torch.equal(back[-1], rows.amax(0))
    assert features(torch.tensor([[-1e9] * 4, [1e9] * 4], dtype=torch.float64)).isfinite().all()


def test_quantile_normal_interpolates_between_training_rows() -> None:
    rows = torch.tensor([[0.0], [10.0]], dtype=torch.float64)
    middle = QuantileNormal(rows).inverse(torch.zeros(1, 1, dtype=torch.float64))
    assert middle.item() == pytest.approx(5)


@every
def test_inverse_takes_leading_axes(name: str) -> None:
    features = FEATURES[name](table())
    many = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    back = features.inverse(many)
    assert back.shape == many.shape
    torch.testing.assert_close(back[1, 2], features.inverse(many[1, 2]))


def discrete() -> Tensor:
    """A rare flag, counts, half zeros, cents, grades from 1 to 5, whole dollars far from 0, and normal numbers."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(400, 7, generator=generator, dtype=torch.float64)
    columns = [
        (x[:, 0] > 2.8) * 1.0,
        (x[:, 1].abs() * 3).round(),
        x[:, 2].clamp_min(0),
        (x[:, 3].exp() * 100).round() / 100,
        (x[:, 4] * 1.5 + 3).round().clamp(1, 5),
        (x[:, 5] * 1e4).round() + 1e5,
        x[:, 6],
    ]
    return torch.stack(columns, 1)


@every
def test_what_a_network_sees_in_single_precision_comes_back_as_it_was(name: str) -> None:
    rows = discrete()[:, :-1]
    features = FEATURES[name](rows)
    back = features.inverse(features(rows).float().double())
    exact = [0, 1, 3, 4, 5] if name not in ("tail_layer", "pareto_tail") else [0, 1, 4]
    assert torch.equal(back[:, exact], rows[:, exact])
    assert (back.amin(0) == rows.amin(0)).all()
    assert (back[rows == 0] <= 1e-6).all()


@every
def test_samples_have_the_columns_decimals_and_keep_its_hard_bounds(name: str) -> None:
    rows = discrete()[:, :-1]
    features = FEATURES[name](rows)
    noise = 3 * torch.randn(4000, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = features.inverse(noise)
    flag, count, half, cents, grade, dollars = made.T
    assert set(flag.tolist()) == {0.0, 1.0}
    assert torch.equal(count, count.round()) and count.min() == 0
    assert half.min() >= 0
    assert torch.equal((cents * 100).round() / 100, cents) and cents.min() >= 0
    assert set(grade.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert torch.equal(dollars, dollars.round())
    assert not torch.signbit(made[made == 0]).any()  # no -0.0 in a file


def test_a_column_without_bounds_or_decimals_is_left_alone() -> None:
    rows = discrete()[:, -1:]
    features = Standard(rows)
    far = torch.tensor([[-40.0], [0.123456789], [40.0]], dtype=torch.float64)
    assert torch.equal(features.inverse(far), features.invert(far))
    assert features.power.item() == 0 and features.limits.flatten().tolist() == [-torch.inf, torch.inf]


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_rounding_errors_end_at_the_least_and_largest_value(offset: float) -> None:
    rows = discrete()[:, -1:] / 7 + offset
    least, largest = rows.min(), rows.max()
    features = Standard(rows)
    ends = features(torch.stack([least, largest]).unsqueeze(1))
    for step in (-1e-7, 0.0, 1e-7):
        low, high = features.inverse(ends + step).flatten()
        assert low >= least and high <= largest
    assert features.inverse(ends - 1)[0] < least and features.inverse(ends + 1)[1] > largest


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([1, 2, 30], 0),
        ([0.1, 2.25, -3], 2),
        ([1e-9, 5e-9], 9),
        ([1 / 3, 1], None),
        ([2.0**60, 1], None),
        ([0.1 + 0.2], None),
    ],
)
def test_the_decimals_of_a_column(values: list[float], decimals: int | None) -> None:
    rows = torch.tensor(values, dtype=torch.float64).unsqueeze(1)
    assert Standard(rows).power.item() == (0 if decimals is None else 10.0**decimals)


def test_quantiles_never_lead_beyond_the_largest_value_by_rounding() -> None:
    for seed in range(50):
        rows = torch.randn(60, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 10.0**-seed
        features = QuantileNormal(rows)
        far = torch.tensor([[-9.0], [9.0]], dtype=torch.float64).expand(-1, 5)
        assert torch.equal(features.inverse(far), torch.stack([rows.amin(0), rows.amax(0)]))
