"""Denoising: its closed form at the best denoiser of normal data, and the rows that the network is shown."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import Diffusion, Noise, Shape
from models.pack import join
from objectives.losses import Denoising

N = 40000


class Linear(nn.Module):
    """The best denoiser of N(0, deviation^2 I) times `factor`; it notes what it is shown."""

    def __init__(self, deviation: float, factor: float) -> None:
        super().__init__()
        self.deviation, self.factor = deviation, factor
        self.shown: list[tuple[Tensor, Tensor]] = []

    def denoise(self, noisy: Tensor, sigma: Tensor, noise: Any = None) -> Tensor:
        self.shown.append((noisy, sigma))
        return self.factor * noisy * self.deviation**2 / (self.deviation**2 + sigma**2)


def normal(deviation: float) -> Tensor:
    return deviation * torch.randn(1, N, 2, generator=torch.Generator().manual_seed(0))


def diffusion(**arguments: float) -> Any:
    return Diffusion(Shape(2, "normal", 1), 0, **arguments)  # type: ignore[arg-type]


def objective(**arguments: float) -> Denoising:
    return Denoising(torch.zeros(1, 2), 0, **arguments)


@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("factor", [1.0, 0.8])
def test_loss_of_the_best_denoiser_is_the_weighted_posterior_variance(deviation: float, factor: float) -> None:
    model: Any = Linear(deviation, factor)
    loss = objective(noise_deviation=0.5).loss(model, normal(deviation), Noise([1], N))
    ((_, sigma),) = model.shown
    squares, variance = sigma.double().square(), deviation**2
    left = variance * squares / (variance + squares)  # of the row, given what is shown
    added = (1 - factor) ** 2 * variance**2 / (variance + squares)
    expected = 2 * ((1 + 1 / squares) * (left + added)).mean().item()
    assert loss.shape == (1,)
    assert loss.item() == pytest.approx(expected, rel=0.03)


def test_of_rows_of_unit_deviation_every_noise_weighs_the_same() -> None:
    for mean in (-3.0, 0.0, 1.0):
        loss = objective(noise_mean=mean).loss(Linear(1.0, 1.0), normal(1.0), Noise([1], N))
        assert loss.item() == pytest.approx(2, rel=0.02)  # one for each column


def test_noise_is_as_large_as_told() -> None:
    model = Linear(0.5, 1.0)
    objective(noise_mean=-0.5, noise_deviation=0.7).loss(model, normal(0.5), Noise([1], N))
    ((noisy, sigma),) = model.shown
    assert sigma.log().mean().item() == pytest.approx(-0.5, abs=0.02)
    assert sigma.log().std().item() == pytest.approx(0.7, rel=0.02)
    eps = (noisy - normal(0.5)) / sigma
    assert eps.mean().abs() < 0.02 and eps.var().item() == pytest.approx(1, rel=0.02)


def test_each_trial_has_its_own_noise() -> None:
    x = normal(1.0)[:, :300]
    settings = [{"noise_mean": 0.0}, {"noise_deviation": 0.3}]
    pack: Any = join([Diffusion(Shape(2, "normal", 1), trial, width=8) for trial in range(2)])
    losses = join([objective(**own) for own in settings]).loss(pack, x.expand(2, -1, -1), Noise([1, 2], 300))
    for trial, own in enumerate(settings):
        single: Any = Diffusion(Shape(2, "normal", 1), trial, width=8)
        torch.testing.assert_close(losses[[trial]], objective(**own).loss(single, x, Noise([1 + trial], 300)))


def test_dropout_only_in_training() -> None:
    model, plain = (diffusion(dropout=share) for share in (0.5, 0.0))
    x = normal(1.0)[:, :50]
    kept, dropped = (objective().loss(model, x, Noise([1], 50), train).item() for train in (False, True))
    assert kept == objective().loss(plain, x, Noise([1], 50)).item()
    assert dropped != kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"noise_mean": math.nan}, "noise_mean must be finite, got nan"),
        ({"noise_deviation": 0.0}, "noise_deviation must be above 0, got 0.0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        objective(**arguments)
