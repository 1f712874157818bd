"""Energy, sliced Wasserstein and moment losses against scipy, torch's own distributions and closed forms."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from scipy.stats import energy_distance
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from models import Model, Noise, Pushforward, Shape, Stochastic
from models.pack import join
from objectives.losses import Energy, MomentKL, SlicedWasserstein
from objectives.losses.moment_kl import RIDGE

LOSSES: dict[str, Any] = {"energy": Energy, "sliced_wasserstein": SlicedWasserstein, "moment_kl": MomentKL}


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Fixed:
    """A pushforward whose rows are known."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def draw(self, noise: Any) -> Tensor:
        return self.rows

    def push(self, inputs: Tensor, noise: Any = None) -> Tensor:
        return inputs


class Normal:
    """A pushforward to N(shift, 1) in every column."""

    def __init__(self, pack: int, features: int, shift: float = 0.0) -> None:
        self.widths, self.shift = [features] * pack, shift

    def draw(self, noise: Any) -> Tensor:
        drawn: Tensor = noise.normal("source", self.widths)
        return drawn

    def push(self, inputs: Tensor, noise: Any = None) -> Tensor:
        return inputs + self.shift


class Doubled:
    """Noise in float64."""

    def __init__(self, noise: Noise) -> None:
        self.noise, self.rows = noise, noise.rows

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        return self.noise.normal(key, widths).double()

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        return self.noise.uniform(key, widths).double()

    def dropout(self, key: str, widths: Sequence[int], rates: Sequence[float]) -> Tensor | None:
        kept = self.noise.dropout(key, widths, rates)
        return None if kept is None else kept.double()


def value(objective: Any, rows: Tensor, made: Tensor, seed: int = 0) -> float:
    return float(objective.loss(Fixed(made), rows, Noise([seed], rows.shape[1])))


def test_energy_equals_scipy_with_the_diagonals_taken_out() -> None:
    x, y, n = normal(1, 40, 1, seed=1), 1.5 * normal(1, 40, 1, seed=2) + 0.3, 40
    # scipy's means count each row with itself, at distance 0.
    diagonals = sum(pdist(sample[0].double()).mean() / n for sample in (x, y))
    expected = energy_distance(x.flatten(), y.flatten()) ** 2 - diagonals
    assert value(Energy(x[0], 0), x, y) == pytest.approx(expected, abs=1e-6)


def test_energy_equals_means_over_pairs() -> None:
    data = [(trial + 1) * normal(14, 3, seed=trial) for trial in range(3)]
    made, rows = normal(3, 9, 3, seed=7), torch.stack(data)[:, :9]
    losses = join([Energy(own, 0) for own in data]).loss(Fixed(made), rows, Noise([1, 2, 3], 9))
    for trial in range(3):
        x, y = rows[trial].double(), made[trial].double()
        expected = 2 * cdist(x, y).mean() - pdist(data[trial].double()).mean() - pdist(y).mean()
        assert losses[trial].item() == pytest.approx(expected, abs=1e-6)


def expected_distance(shift: float) -> float:
    """E|N(shift, 2)|, the mean distance of N(0, 1) and N(shift, 1): the mean of a folded normal."""
    return 2 / math.sqrt(math.pi) * math.exp(-(shift**2) / 4) + shift * math.erf(shift / 2)


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_energy_is_unbiased(shift: float) -> None:
    trials, n = 800, 16
    data = normal(trials, n, 1, seed=1)
    losses = join([Energy(rows, 0) for rows in data]).loss(Normal(trials, 1, shift), data, Noise(range(trials), n))
    error = losses.std().item() / trials**0.5
    population = 2 * expected_distance(shift) - 2 * expected_distance(0)
    assert losses.mean().item() == pytest.approx(population, abs=4 * error)
    # The biased form would be off by the two diagonals: far more than the error.
    assert 2 * expected_distance(0) / n > 6 * error
    assert losses.min() < 0


def test_energy_uses_so_many_training_rows_at_most() -> None:
    data = normal(2500, 1, seed=3)
    assert Energy(data, 0).real.item() != pytest.approx(Energy(data, 1).real.item(), rel=1e-4)
    assert Energy(data, 0).real.item() == pytest.approx(expected_distance(0), abs=0.05)
    assert Energy(data[:2000], 0).real.item() == pytest.approx(pdist(data[:2000].double()).mean(), rel=1e-4)


def test_energy_gradient_is_finite_where_rows_coincide() -> None:
    made = torch.zeros(1, 6, 2, requires_grad=True)
    rows = torch.cat([torch.zeros(1, 1, 2), torch.tensor([[[3.0, 4.0]]]).expand(1, 5, 2)], dim=1)
    loss = Energy(rows[0], 0).loss(Fixed(made), rows, Noise([1], 6))
    (gradient,) = torch.autograd.grad(loss.sum(), [made])
    # Of the six rows, five pull along (3, 4) / 5 and the one at distance 0 doesn't.
    torch.testing.assert_close(gradient, -2 * 5 / 36 * torch.tensor([0.6, 0.8]).expand(1, 6, 2))


def test_energy_tells_near_rows_apart_far_from_the_origin() -> None:
    x = 1000 + torch.tensor([[[0.0], [0.25], [0.75]]])
    assert value(Energy(x[0], 0), x, x) == pytest.approx(2 * 3 / 9 - 2 * 0.5)


@pytest.mark.parametrize("projections", [1, 7])
def test_sliced_wasserstein_in_one_dimension_is_that_of_sorted_rows(projections: int) -> None:
    x, y = normal(1, 50, 1, seed=1), 2 * normal(1, 50, 1, seed=2) - 1
    expected = float(np.mean((np.sort(x.flatten()) - np.sort(y.flatten())) ** 2))
    assert value(SlicedWasserstein(x[0], 0, projections=projections), x, y) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shift", [(1.0, 0.0, 0.0), (0.0, 0.0, -2.0), (1.0, 1.0, 1.0), (1.0, -1.0, 0.0)])
def test_sliced_wasserstein_of_shifted_rows(shift: tuple[float, ...]) -> None:
    # W2 along a direction is its product with the shift, whose square is |shift|^2 / 3 on average over the sphere.
    x, projections = normal(1, 30, 3, seed=1), 20000
    loss = value(SlicedWasserstein(x[0], 0, projections=projections), x, x + torch.tensor(shift))
    square = sum(entry**2 for entry in shift)
    # The square of one coordinate of a point on the sphere has a standard deviation of sqrt(4 / 45).
    assert loss == pytest.approx(square / 3, abs=5 * square * (4 / 45 / projections) ** 0.5)


def test_sliced_wasserstein_does_not_mind_the_order_of_rows() -> None:
    x, objective = normal(1, 30, 2, seed=1), SlicedWasserstein(normal(9, 2, seed=0), 0)
    assert value(objective, x, x.flip(1)) == 0
    assert value(objective, x, x.flip(2)) > 0.01


def test_sliced_wasserstein_draws_new_directions_at_each_step() -> None:
    x, y, noise = normal(1, 30, 2, seed=1), 2 * normal(1, 30, 2, seed=2), Noise([5], 30)
    objective = SlicedWasserstein(x[0], 0, projections=3)
    losses = [objective.loss(Fixed(y), x, noise).item() for _ in range(40)]
    assert len(set(losses)) == 40
    many = value(SlicedWasserstein(x[0], 0, projections=20000), x, y)
    assert np.mean(losses) == pytest.approx(many, abs=4 * float(np.std(losses)) / 40**0.5)


@pytest.mark.parametrize("rows", [2, 30, 100])
def test_sliced_wasserstein_has_its_own_directions_in_company(rows: int) -> None:
    counts, x, y = [3, 40, 1], normal(3, rows, 2, seed=1), normal(3, rows, 2, seed=2)
    several = [SlicedWasserstein(x[0], 0, projections=count) for count in counts]
    noise = Noise([1, 2, 3], rows)
    together = torch.stack([join(several).loss(Fixed(y), x, noise) for _ in range(2)])
    for trial, objective in enumerate(several):
        own = Noise([1 + trial], rows)
        alone = [objective.loss(Fixed(y[[trial]]), x[[trial]], own).item() for _ in range(2)]
        assert together[:, trial].tolist() == pytest.approx(alone, rel=1e-5)


def moments(rows: Tensor, ridge: Tensor) -> MultivariateNormal:
    rows = rows.double()
    return MultivariateNormal(rows.mean(0), torch.cov(rows.T).reshape(ridge.shape) + ridge)


@pytest.mark.parametrize("features", [1, 3])
def test_moment_kl_equals_torch_distributions(features: int) -> None:
    data = normal(60, features, seed=1) @ normal(features, features, seed=2) + 2
    made = normal(1, 25, features, seed=3) - 1
    ridge = RIDGE * data.double().var(0).mean() * torch.eye(features)
    expected = kl_divergence(moments(made[0], ridge), moments(data, ridge)).item()
    assert value(MomentKL(data, 0), data[:25].unsqueeze(0), made) == pytest.approx(expected, rel=1e-5)


def test_moment_kl_vanishes_where_moments_agree_and_there_alone() -> None:
    data = normal(40, 2, seed=4) @ torch.tensor([[1.0, 0.7], [0.0, 0.5]])
    mirrored = 2 * data.mean(0) - data  # other rows of the same mean and covariance
    objective, rows = MomentKL(data, 0), data.unsqueeze(0)
    assert value(objective, rows, mirrored.unsqueeze(0)) == pytest.approx(0, abs=1e-6)
    turned = torch.stack([data[:, 0], -data[:, 1]], dim=1)
    for other in (mirrored + 0.1, 1.1 * mirrored, turned):
        assert value(objective, rows, other.unsqueeze(0)) > 1e-3


def test_moment_kl_of_rows_on_a_line_is_finite_and_has_a_gradient() -> None:
    data, line = normal(50, 2, seed=5), normal(1, 50, 1, seed=6)
    made = torch.cat([line, line], dim=2).requires_grad_()
    loss = MomentKL(data, 0).loss(Fixed(made), data.unsqueeze(0), Noise([1], 50))
    (gradient,) = torch.autograd.grad(loss.sum(), [made])
    assert math.log(1 / RIDGE) / 2 - 2 < loss.item() < math.log(1 / RIDGE) / 2 + 2
    assert gradient.isfinite().all()
    assert (gradient != 0).any()


def test_moment_kl_leaves_the_pack_alone_where_one_trial_diverged() -> None:
    data, made = normal(30, 2, seed=7), normal(3, 30, 2, seed=8)
    made[1, 3] = float("nan")
    made[2, 3] = float("inf")
    loss = join([MomentKL(data, 0)] * 3).loss(Fixed(made), data.expand(3, 30, 2), Noise([1, 2, 3], 30))
    assert loss.isfinite().tolist() == [True, False, False]
    assert loss[0].item() == pytest.approx(value(MomentKL(data, 0), data.unsqueeze(0), made[:1]))


def test_moment_kl_refuses_batches_that_span_no_covariance() -> None:
    with pytest.raises(ValueError, match="training rows must be above 3, the number of columns, got 3"):
        MomentKL(normal(3, 3, seed=0), 0)
    rows = normal(1, 3, 3, seed=0)
    with pytest.raises(ValueError, match="batch must be above 3, the number of columns, got 3"):
        value(MomentKL(normal(9, 3, seed=0), 0), rows, rows)
    assert math.isfinite(value(MomentKL(normal(4, 3, seed=0), 0), normal(1, 4, 3, seed=1), normal(1, 4, 3, seed=2)))


def test_sliced_wasserstein_refuses_no_projections() -> None:
    with pytest.raises(ValueError, match="projections must be at least 1, got 0"):
        SlicedWasserstein(normal(9, 2, seed=0), 0, projections=0)


@pytest.mark.parametrize("name", LOSSES)
def test_evaluation_drops_nothing(name: str) -> None:
    x, shape = normal(1, 20, 3, seed=1), Shape(features=3, source="normal", source_features=2)
    objective, dropping, plain = LOSSES[name](x[0], 0), Pushforward(shape, 1, dropout=0.5), Pushforward(shape, 1)
    evaluated = objective.loss(dropping, x, Noise([1], 20), train=False)
    assert torch.equal(evaluated, objective.loss(plain, x, Noise([1], 20), train=False))
    assert not torch.equal(evaluated, objective.loss(dropping, x, Noise([1], 20)))


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_equals_finite_differences(name: str) -> None:
    shape, x = Shape(features=3, source="uniform", source_features=2), normal(2, 12, 3, seed=2).double()
    several: list[Model] = [Stochastic(shape, 1, activation="tanh"), Stochastic(shape, 2, activation="silu", noise=1)]
    model, objective = join(several).double(), join([LOSSES[name](rows, 0) for rows in x]).double()
    parameters = list(model.parameters())

    def loss() -> Tensor:
        losses: Tensor = objective.loss(model, x, Doubled(Noise([3, 4], 12)))
        return losses

    generator = torch.Generator().manual_seed(5)
    for trial in range(2):
        gradients = torch.autograd.grad(loss()[trial], parameters)
        directions = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]
        step, values = 1e-6, []
        for side in (1, -2):
            with torch.no_grad():
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.add_(side * step * direction)
                values.append(loss()[trial])
        slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(step * direction)
        torch.testing.assert_close((values[0] - values[1]) / (2 * step), slope, rtol=1e-5, atol=1e-7)
