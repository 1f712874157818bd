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
    """Denoiser c(t) x, c the best one for N(0, deviation^2 I) times `factor`; it notes what it is shown."""

    def __init__(self, levels: Tensor, deviation: float, factor: float) -> None:
        super().__init__()
        self.levels, self.deviation, self.factor = levels, deviation, factor
        self.shown: list[tuple[Tensor, Tensor]] = []

    def noise_levels(self, time: Tensor) -> Tensor:
        return self.levels[(time * len(self.levels)).long()]

    def denoise(self, noisy: Tensor, time: Tensor, noise: Any = None) -> Tensor:
        level = self.noise_levels(time)
        self.shown.append((noisy, level))
        return self.factor * (1 - level).sqrt() * noisy / (level * self.deviation**2 + 1 - level)


def diffusion(seed: int, **arguments: Any) -> Any:
    return Diffusion(Shape(2, "normal", 1), seed, **arguments)


def normal(deviation: float) -> Tensor:
    return deviation * torch.randn(1, N, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("factor", [1.0, 0.8])
def test_loss_of_the_best_denoiser_is_the_posterior_variance(deviation: float, factor: float) -> None:
    levels = torch.tensor([0.99, 0.9, 0.5, 0.1, 0.001])
    model = Linear(levels, deviation, factor)
    loss = Denoising(torch.zeros(1, 2), 0).loss(model, normal(deviation), Noise([1], N))
    spread = levels * deviation**2 + 1 - levels
    # Var(eps | x_t), and what a factor beside the best one adds: (1 - factor)^2 E|best|^2.
    expected = 2 * (levels * deviation**2 / spread + (1 - factor) ** 2 * (1 - levels) / spread).mean().item()
    assert loss.shape == (1,)
    assert loss.item() == pytest.approx(expected, rel=0.03)


def test_noisy_rows_have_their_levels_share_of_the_signal() -> None:
    levels, mean = torch.tensor([0.95, 0.6, 0.2, 0.01]), 3.0
    model = Linear(levels, 0.5, 1.0)
    Denoising(torch.zeros(1, 2), 0).loss(model, normal(0.5) + mean, Noise([1], N))
    ((noisy, shown),) = model.shown
    for level in levels.tolist():
        rows = noisy[(shown == torch.tensor(level)).expand_as(noisy)]
        assert len(rows) == pytest.approx(2 * N / 4, rel=0.05)
        assert rows.mean().item() == pytest.approx(math.sqrt(level) * mean, abs=0.04)
        assert rows.var().item() == pytest.approx(level * 0.25 + 1 - level, rel=0.04)


def test_each_trial_has_its_own_steps() -> None:
    x = normal(1.0)[:, :300]
    pack = join([diffusion(trial, steps=steps) for trial, steps in enumerate((2, 40))])
    losses = Denoising(x[0], 0).loss(pack, x.expand(2, -1, -1), Noise([1, 2], 300))
    for trial, steps in enumerate((2, 40)):
        alone = Denoising(x[0], 0).loss(diffusion(trial, steps=steps), x, Noise([1 + trial], 300))
        torch.testing.assert_close(losses[[trial]], alone)


def test_dropout_only_in_training() -> None:
    model, plain = diffusion(0, dropout=0.5), diffusion(0)
    x, objective = normal(1.0)[:, :50], Denoising(torch.zeros(1, 2), 0)
    kept, dropped = (objective.loss(model, x, Noise([1], 50), train).item() for train in (False, True))
    assert kept == objective.loss(plain, x, Noise([1], 50)).item()
    assert dropped != kept
