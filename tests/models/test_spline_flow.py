"""Spline flow: its density against its own Jacobian and integral, its inverse, its order, and a short training."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from models import Noise, Shape, SplineFlow
from models.pack import join
from models.spline_flow import BOUND, backwards, forwards
from objectives.losses import NLL
from search.study.configuration import Training
from search.train.pack import Pack


def shape(features: int) -> Shape:
    return Shape(features=features, source="normal", source_features=1)


def bent(features: int, seed: int = 0, bins: int = 8) -> SplineFlow:
    """A flow of random weights, in double precision."""
    model = SplineFlow(shape(features), seed, width=16, bins=bins).double()
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=dice, dtype=parameter.dtype))
    return model


def flowed(model: SplineFlow, x: Tensor) -> tuple[Tensor, Tensor]:
    """Where rows end, and the sum of the logarithms of all slopes on the way."""
    total = torch.zeros_like(x)
    for network in model.networks:
        x, slopes = forwards(x, model._splines(network(x)))
        total = total + slopes
    return x, total.sum(2)


def points(features: int, count: int = 40) -> Tensor:
    dice = torch.Generator().manual_seed(1)
    return 2.5 * torch.randn(1, count, features, generator=dice, dtype=torch.float64)


@pytest.mark.parametrize("features", [1, 3])
def test_slopes_are_those_of_the_jacobian(features: int) -> None:
    model, x = bent(features), points(features)
    _, told = flowed(model, x)
    for row in range(x.shape[1]):
        jacobian = torch.autograd.functional.jacobian(lambda one: flowed(model, one[None, None])[0][0, 0], x[0, row])
        assert float(jacobian.det().abs().log()) == pytest.approx(float(told[0, row].detach()), abs=1e-6)


class Given:
    """Noise that is given."""

    def __init__(self, rows: Tensor) -> None:
        self.rows, self._start = rows.shape[1], rows

    def normal(self, key: str, widths: list[int]) -> Tensor:
        return self._start


@pytest.mark.parametrize("features", [1, 2, 5])
def test_sampling_takes_back_what_the_density_does(features: int) -> None:
    model, x = bent(features), points(features)
    start = flowed(model, x)[0].detach()
    torch.testing.assert_close(model.sample(Given(start)), x, rtol=1e-6, atol=1e-6)  # type: ignore[arg-type]


def test_the_density_integrates_to_one() -> None:
    grid = torch.linspace(-9, 9, 401, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), dim=-1).view(1, -1, 2)
    with torch.no_grad():
        mass = float(bent(2).log_prob(plane).exp().sum() * (grid[1] - grid[0]) ** 2)
    assert mass == pytest.approx(1.0, abs=2e-3)


def test_each_column_depends_on_those_before_it_alone() -> None:
    model, x = bent(4), points(4, count=30)
    for level, network in enumerate(model.networks):
        depends = torch.zeros(4, 4, dtype=torch.bool)
        for column in range(4):
            told = x.clone().requires_grad_()
            network(told).view(-1, 4)[:, column].abs().sum().backward()
            assert told.grad is not None
            depends[column] = (told.grad != 0).any(1)[0]
        order = [0, 1, 2, 3] if level % 2 == 0 else [3, 2, 1, 0]
        assert depends.tolist() == [[order[other] < order[column] for other in range(4)] for column in range(4)]


def test_outside_the_bound_nothing_changes_and_inside_it_nothing_leaves() -> None:
    model = bent(1)
    far = torch.tensor([-50.0, -BOUND, BOUND, 50.0], dtype=torch.float64).view(1, -1, 1)
    spline = model._splines(model.networks[0](far))
    moved, slopes = forwards(far, spline)
    assert torch.equal(moved, far) and torch.equal(slopes, torch.zeros_like(far))
    assert torch.equal(backwards(far, spline), far)
    inside = torch.linspace(-BOUND, BOUND, 999, dtype=torch.float64).view(1, -1, 1)
    moved, _ = forwards(inside, model._splines(model.networks[0](inside)))
    assert (moved.diff(dim=1) > 0).all() and moved.abs().max() <= BOUND


def test_networks_of_different_bins_equal_those_alone() -> None:
    singles = [bent(3, seed, bins=bins) for seed, bins in enumerate((2, 8, 5))]
    pack = join(singles)
    for trial, single in enumerate(singles):
        torch.testing.assert_close(pack.log_prob(points(3).expand(3, -1, -1))[trial], single.log_prob(points(3))[0])
        start = points(3)
        drawn = pack.sample(Given(start.expand(3, -1, -1)))[trial]  # type: ignore[arg-type]
        torch.testing.assert_close(drawn, single.sample(Given(start))[0])  # type: ignore[arg-type]


def test_training_finds_two_dependent_columns() -> None:
    dice = np.random.default_rng(0)
    angle = dice.uniform(0, 2 * np.pi, 1500)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * 1.5 + 0.15 * dice.standard_normal((1500, 2))
    rows = torch.from_numpy(ring).float().unsqueeze(0)
    training = Training(batch=250, learning_rate=1e-2, schedule="cosine")
    pack = Pack(SplineFlow(shape(2), 0, width=32), NLL(rows[0], 0), rows, [training], seeds=[1], budget=40)
    for _ in range(40):
        pack.advance()
    with torch.no_grad():
        radius = pack.averaged.sample(Noise([5], 2000))[0].square().sum(1).sqrt().numpy()
    assert stats.iqr(radius) < 0.45 and np.median(radius) == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(("bins", "said"), [(1, "bins must be from 2 to 100, got 1"), (101, "got 101")])
def test_a_wrong_argument_is_named(bins: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SplineFlow(shape(2), 0, bins=bins)
