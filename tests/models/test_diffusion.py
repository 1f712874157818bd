"""Diffusion: its noise levels, ancestral sampling with the exact denoiser of normal data, and a short training."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from models import Diffusion, Noise, Shape
from models.diffusion import NoiseSchedule
from models.pack import join
from objectives.losses import Denoising
from search.study.configuration import Training
from search.train.pack import Pack

SHAPE = Shape(features=2, source="normal", source_features=1)


class Exact(nn.Module):
    """The best denoiser of data N(mean, deviation^2 I)."""

    def __init__(self, schedule: NoiseSchedule, mean: float, deviation: float) -> None:
        super().__init__()
        self.levels, self.mean, self.deviation = schedule.alpha_bar[0].float(), mean, deviation

    def forward(self, x: Tensor, time: Tensor, noise: Any = None) -> Tensor:
        level = self.levels[(time * len(self.levels)).round().long() - 1]
        return (1 - level).sqrt() * (x - level.sqrt() * self.mean) / (level * self.deviation**2 + 1 - level)


def exact(mean: float, deviation: float, **arguments: Any) -> Diffusion:
    model = Diffusion(SHAPE, 0, **arguments)
    model.network = Exact(model.schedule, mean, deviation)  # type: ignore[assignment]
    return model


@pytest.mark.parametrize("steps", [2, 5, 20, 21, 50, 200, 1000])
@pytest.mark.parametrize("curve", ["cosine", "linear"])
def test_signal_falls_from_step_to_step_and_is_gone_at_the_last(curve: Any, steps: int) -> None:
    levels = NoiseSchedule(steps, curve).alpha_bar[0]
    assert levels.shape == (steps,)
    assert (levels.diff() < 0).all()
    assert 0 < levels[-1] < 1e-3
    assert levels[0] < 1
    assert levels[0] > 0.99 or steps < 50


def test_noise_levels_are_those_of_the_papers() -> None:
    linear = NoiseSchedule(1000, "linear").alpha_bar[0]
    assert linear[0].item() == pytest.approx(1 - 1e-4, rel=1e-12)
    assert linear[-1].item() == pytest.approx(float(np.prod(1 - np.linspace(1e-4, 0.02, 1000))), rel=1e-9)
    assert linear[-1].item() == pytest.approx(4.04e-5, rel=1e-2)
    cosine = NoiseSchedule(100, "cosine").alpha_bar[0]
    level = [math.cos((t / 100 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(101)]
    assert cosine[:-1].numpy() == pytest.approx(np.array(level[1:-1]) / level[0], rel=1e-9)
    assert (cosine[-1] / cosine[-2]).item() == pytest.approx(1e-3, rel=1e-9)


def test_a_time_stands_for_a_step_and_every_step_for_as_much_time() -> None:
    model = join([Diffusion(SHAPE, 0, steps=7, width=3), Diffusion(SHAPE, 1, steps=20, width=5)])
    time = torch.linspace(0, 1, 14001)[:-1].view(1, -1, 1).expand(2, -1, -1)
    levels = model.noise_levels(time)
    for trial, steps in enumerate((7, 20)):
        found, level, counts = levels[trial].flatten().unique(return_inverse=True, return_counts=True)
        torch.testing.assert_close(found.flip(0), model.schedule.alpha_bar[trial, :steps].float())
        assert (counts - 14000 / steps).abs().max() <= 1
        predicted = model.denoise(torch.ones(2, 14000, 2), time)[trial]
        first = torch.stack([predicted[level == place][0] for place in range(steps)])
        torch.testing.assert_close(predicted, first[level])  # but for rounding, which depends on a row's place
        assert len(first[:, 0].unique()) == steps
    last = model.noise_levels(torch.ones(2, 1, 1))
    assert last.flatten().tolist() == [levels[0].min().item(), levels[1].min().item()]


@pytest.mark.parametrize("deviation", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("curve", ["cosine", "linear"])
def test_exact_denoiser_samples_its_data(curve: Any, deviation: float) -> None:
    mean, n = 1.5, 30000
    model = exact(mean, deviation, steps=100, noise_schedule=curve)
    rows = model.sample(Noise([5], n))[0].double()
    levels = [1.0, *model.schedule.alpha_bar[0].tolist()]
    location, variance = 0.0, 1.0
    for now, before in zip(levels[:0:-1], levels[-2::-1], strict=True):
        beta, spread = 1 - now / before, now * deviation**2 + 1 - now
        shrink = (1 - beta / spread) / math.sqrt(1 - beta)
        location = shrink * location + beta / spread * math.sqrt(now) * mean / math.sqrt(1 - beta)
        variance = shrink**2 * variance + beta * math.sqrt((1 - before) / (1 - now))
    assert location == pytest.approx(mean, abs=0.05)
    assert variance == pytest.approx(deviation**2, rel=0.1)
    assert rows.mean(0).numpy() == pytest.approx(location, abs=4.5 * deviation / n**0.5)
    assert rows.var(0).numpy() == pytest.approx(variance, rel=4.5 * (2 / n) ** 0.5)
    assert stats.kstest(rows[:, 0].numpy(), "norm", (location, variance**0.5)).pvalue > 1e-3


def test_more_steps_come_closer() -> None:
    errors = [abs(exact(0.0, 0.3, steps=steps).sample(Noise([1], 40000)).var().item() - 0.09) for steps in (5, 20, 100)]
    assert errors[0] > 3 * errors[1] > 3 * errors[2]


def test_training_finds_both_ends_of_a_line() -> None:
    generator = torch.Generator().manual_seed(0)
    chosen = (torch.rand(1000, generator=generator) < 0.7).float() * 2 - 1
    x = (chosen + 0.1 * torch.randn(1000, generator=generator)).view(1, -1, 1)
    model = Diffusion(Shape(1, "normal", 1), 0, width=32, depth=2, steps=50)
    trainer = Pack(
        model, Denoising(x[0], 0), x, [Training(learning_rate=1e-2, schedule="cosine")], seeds=[1], budget=200
    )

    def drawn() -> np.ndarray:
        with torch.no_grad():
            return trainer.averaged.sample(Noise([3], 4000))[0, :, 0].numpy()

    truth = x.flatten().numpy()
    untrained = stats.wasserstein_distance(drawn(), truth)
    for _ in range(200):
        trainer.advance()
    rows = drawn()
    assert stats.wasserstein_distance(rows, truth) < min(0.1, untrained / 5)
    assert (rows > 0).mean() == pytest.approx((truth > 0).mean(), abs=0.05)
    assert (abs(rows) < 0.5).mean() < 0.02


def test_dropout_is_for_training_only() -> None:
    model, x, time = Diffusion(SHAPE, 0, dropout=0.5), torch.ones(1, 8, 2), torch.full((1, 8, 1), 0.5)
    assert torch.equal(model.denoise(x, time), model.denoise(x, time))
    assert not torch.equal(model.denoise(x, time, Noise([1], 8)), model.denoise(x, time))


def test_parameters_are_those_of_the_network() -> None:
    (architecture,) = Diffusion(SHAPE, 0, width=7, depth=2).architecture()
    assert architecture == {"parameters": (2 + 8 + 1) * 7 + (7 + 1) * 7 + (7 + 1) * 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 1}, "steps must be at least 2, got 1"),
        ({"noise_schedule": "sine"}, "noise_schedule must be one of cosine, linear, got 'sine'"),
        ({"width": 0}, "width and depth must be at least 1, got width 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"activation": "step"}, "activation must be one of"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Diffusion(SHAPE, 0, **arguments)
