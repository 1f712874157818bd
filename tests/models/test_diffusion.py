"""Diffusion: its scales, its way from noise to rows with the exact denoiser of normal data, and a short training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from models import Diffusion, Noise, Shape
from models.diffusion import MOST
from models.pack import join
from objectives.losses import Denoising
from search.study.configuration import Training
from search.train.pack import Pack

SHAPE = Shape(features=2, source="normal", source_features=1)


class Constant(nn.Module):
    """A network that notes what it is shown, and answers with one number."""

    def __init__(self, answer: float) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.tensor(answer))
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, time: Tensor, noise: Any = None) -> Tensor:
        self.shown.append((x, time))
        return self.answer.expand_as(x)


def exactly(denoise: Callable[[Tensor, Tensor], Tensor], *steps: int, monkeypatch: pytest.MonkeyPatch) -> Diffusion:
    """A pack that denoises by a formula."""
    monkeypatch.setattr(Diffusion, "denoise", lambda self, x, sigma, noise=None: denoise(x, sigma))
    return join([Diffusion(SHAPE, trial, steps=own) for trial, own in enumerate(steps)])


def test_scales_are_those_of_the_source() -> None:
    model = Diffusion(SHAPE, 0)
    network = Constant(3.0)
    model.network = network  # type: ignore[assignment]
    x = torch.tensor([[[2.0, -1.0]]])
    for sigma in (0.002, 0.5, 1.0, 20.0):
        told = model.denoise(x, torch.full((1, 1, 1), sigma))
        skip, out, into = 1 / (sigma**2 + 1), sigma / (sigma**2 + 1) ** 0.5, 1 / (sigma**2 + 1) ** 0.5
        torch.testing.assert_close(told, skip * x + out * 3.0)
        torch.testing.assert_close(network.shown[-1][0], into * x)
    assert [time.item() for _, time in network.shown[::3]] == pytest.approx([0.0, 1.0], abs=1e-6)


def test_steps_are_those_of_the_source() -> None:
    sigmas = [Diffusion(SHAPE, 0, steps=18)._sigma(step).item() for step in range(19)]
    known = (MOST ** (1 / 7) + np.arange(18) / 17 * (0.002 ** (1 / 7) - MOST ** (1 / 7))) ** 7
    assert sigmas[:-1] == pytest.approx(known.tolist(), rel=1e-4)
    assert sigmas[0] == pytest.approx(MOST) and sigmas[17] == pytest.approx(0.002) and sigmas[18] == 0


@pytest.mark.parametrize("deviation", [0.2, 1.0, 3.0])
def test_exact_denoiser_samples_its_data(deviation: float, monkeypatch: pytest.MonkeyPatch) -> None:
    mean, n = 1.5, 30000

    def best(x: Tensor, sigma: Tensor) -> Tensor:
        return (deviation**2 * x + sigma**2 * mean) / (deviation**2 + sigma**2)

    rows = exactly(best, 30, monkeypatch=monkeypatch).sample(Noise([5], n))[0].double()
    left = deviation / (deviation**2 + MOST**2) ** 0.5  # of what the start has beside the mean
    assert rows.mean(0).numpy() == pytest.approx(mean * (1 - left), abs=5 * deviation / n**0.5)
    assert rows.std(0).numpy() == pytest.approx(MOST * left, rel=0.03)
    assert stats.kstest(rows[:3000, 0].numpy(), stats.norm(mean * (1 - left), MOST * left).cdf).pvalue > 1e-3


def test_the_error_falls_with_the_square_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    # On the exact way x is in proportion to (deviation^2 + sigma^2)^(1/2).
    deviation, steps = 0.5, (20, 40, 80)
    model = exactly(lambda x, s: x * deviation**2 / (deviation**2 + s**2), *steps, monkeypatch=monkeypatch).double()
    start = MOST * Noise([1, 1, 1], 500).normal("start", [2] * 3).double()
    ends = start * deviation / (deviation**2 + MOST**2) ** 0.5
    errors = (model.sample(Noise([1, 1, 1], 500)) - ends).abs().amax((1, 2)).tolist()
    assert errors[0] / errors[1] > 3 and errors[1] / errors[2] > 3


def test_networks_of_fewer_steps_end_as_they_do_alone() -> None:
    steps = (3, 18, 7)
    singles = [Diffusion(SHAPE, trial, steps=own) for trial, own in enumerate(steps)]
    together = join(singles).sample(Noise([4, 5, 6], 50))
    for trial, single in enumerate(singles):
        torch.testing.assert_close(together[[trial]], single.sample(Noise([4 + trial], 50)))


def test_training_finds_both_ends_of_a_line() -> None:
    generator = torch.Generator().manual_seed(0)
    chosen = (torch.rand(1000, generator=generator) < 0.7).float() * 2 - 1
    x = (chosen + 0.1 * torch.randn(1000, generator=generator)).view(1, -1, 1)
    model = Diffusion(Shape(1, "normal", 1), 0, width=32, depth=2)
    trainer = Pack(
        model, Denoising(x[0], 0), x, [Training(learning_rate=1e-2, schedule="cosine")], seeds=[1], budget=200
    )

    def drawn() -> np.ndarray:
        with torch.no_grad():
            return trainer.averaged.sample(Noise([3], 4000))[0, :, 0].numpy()

    truth = x.flatten().numpy()
    for _ in range(200):
        trainer.advance()
    rows = drawn()
    assert stats.wasserstein_distance(rows, truth) < 0.1
    assert (rows > 0).mean() == pytest.approx((truth > 0).mean(), abs=0.05)
    assert (abs(rows) < 0.5).mean() < 0.02


def test_dropout_is_for_training_only() -> None:
    model, x, sigma = Diffusion(SHAPE, 0, dropout=0.5), torch.ones(1, 8, 2), torch.full((1, 8, 1), 0.5)
    assert torch.equal(model.denoise(x, sigma), model.denoise(x, sigma))
    assert not torch.equal(model.denoise(x, sigma, Noise([1], 8)), model.denoise(x, sigma))


def test_parameters_are_those_of_the_network() -> None:
    (architecture,) = Diffusion(SHAPE, 0, width=7, depth=2).architecture()
    assert architecture == {"parameters": (2 + 8 + 1) * 7 + (7 + 1) * 7 + (7 + 1) * 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 1}, "steps must be at least 2, got 1"),
        ({"width": 0}, "width and depth must be at least 1, got width 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"activation": "step"}, "activation must be one of"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Diffusion(SHAPE, 0, **arguments)
