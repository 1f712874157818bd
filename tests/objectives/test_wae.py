"""Wasserstein autoencoders: the discrepancy against a loop over pairs, the discriminator against the optimal one."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import VAE, Noise, Shape
from models.pack import join
from objectives.losses import ELBO, WAEGAN, WAEMMD
from objectives.losses.wae_mmd import discrepancy

SHAPE = Shape(features=3, source="normal", source_features=1)
SCALES = (0.1, 0.2, 0.5, 1, 2, 5, 10)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_discrepancy(z: np.ndarray, prior: np.ndarray) -> float:
    """Algorithm 2 of Tolstikhin et al., one pair at a time."""
    n, latent = z.shape

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(sum(2 * latent * s / (2 * latent * s + ((a - b) ** 2).sum()) for s in SCALES))

    within = [sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) for x in (z, prior)]
    return float(sum(within) / (n * (n - 1)) - 2 * sum(k(a, b) for a in z for b in prior) / n**2)


class Shifted(nn.Module):
    """An autoencoder whose aggregate posterior is N(shift, I), whatever the data."""

    def __init__(self, latent: int, shift: float) -> None:
        super().__init__()
        self.latent, self.shift = latent, nn.Parameter(torch.full((1, 1, 1), shift))

    def encode(self, data: Tensor, noise: Any = None) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(*data.shape[:2], self.latent)
        return zeros + self.shift, zeros

    def decode(self, latent: Tensor, noise: Any = None) -> Tensor:
        return torch.zeros(*latent.shape[:2], 1)

    def log_scale(self) -> Tensor:
        return torch.zeros(1, 1, 1)

    def latent_noise(self, noise: Any) -> Tensor:
        drawn: Tensor = noise.normal("latent", [self.latent])
        return drawn


def test_discrepancy_equals_a_loop_over_pairs_in_each_own_latent_space() -> None:
    x = normal(3, 11, 3, seed=0)
    models: list[Any] = [VAE(SHAPE, trial, latent=latent) for trial, latent in enumerate((1, 4, 2))]
    objectives = [WAEMMD(rows, 0, lam=lam) for rows, lam in zip(x, (1.0, 0.5, 20.0), strict=True)]
    for trial, objective in enumerate(objectives):
        objective.setup(models[trial], x[[trial]])
    found = join(objectives).loss(join(models), x, Noise([1, 2, 3], 11))
    for trial, (model, lam) in enumerate(zip(models, (1.0, 0.5, 20.0), strict=True)):
        rows, noise = x[[trial]], Noise([trial + 1], 11)
        mean, log_variance = model.encode(rows)
        z = mean + (log_variance / 2).exp() * model.latent_noise(noise)
        expected = ELBO(rows[0], 0, beta=0.0).loss(model, rows, Noise([trial + 1], 11)).item()
        penalty = slow_discrepancy(z[0].detach().double().numpy(), model.latent_noise(noise)[0].double().numpy())
        assert found[trial].item() == pytest.approx(expected + lam * penalty, rel=1e-5)


@pytest.mark.parametrize(("shift", "latent"), [(0.0, 1), (0.0, 3), (0.7, 2)])
def test_discrepancy_is_unbiased(shift: float, latent: int) -> None:
    trials, n = 1500, 12
    z, prior = normal(trials, n, latent, seed=1) + shift, normal(trials, n, latent, seed=2)
    found = discrepancy(z, prior, torch.full((trials, 1, 1), 2.0 * latent))
    error = found.std().item() / trials**0.5
    # a - b is normal with variance 2; the mean kernel is an average over many independent pairs.
    pairs = (2**0.5 * normal(10**6, latent, seed=3)).double()
    kernels: list[Any] = [
        sum(2 * latent * s / (2 * latent * s + (pairs + move).square().sum(1)) for s in SCALES) for move in (0.0, shift)
    ]
    population = 2 * (kernels[0].mean() - kernels[1].mean()).item()
    assert found.mean().item() == pytest.approx(population, abs=4 * error + 0.01 * (shift > 0))
    # With the diagonals left in, it would be off by about 2 (7 - E k) / n.
    assert 2 * (len(SCALES) - kernels[0].mean().item()) / n > 10 * error
    assert (shift > 0) == (population > 0.3)


def test_gradient_of_coincident_codes_is_finite_and_zero() -> None:
    z = torch.zeros(1, 6, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(discrepancy(z, torch.zeros(1, 6, 2), torch.full((1, 1, 1), 4.0)).sum(), [z])
    assert torch.equal(gradient, torch.zeros(1, 6, 2))


def test_gradient_of_the_discrepancy_equals_finite_differences() -> None:
    z, prior = normal(2, 5, 3, seed=4).double().requires_grad_(), normal(2, 5, 3, seed=5).double()
    scale = torch.tensor([6.0, 2.0], dtype=torch.float64).view(2, 1, 1)
    assert torch.autograd.gradcheck(lambda latent: discrepancy(latent, prior, scale), [z])


def test_discrepancy_pulls_the_codes_to_the_prior() -> None:
    for shift in (-1.0, 1.0):
        model, x = Shifted(2, shift), torch.zeros(1, 200, 1)
        objective = WAEMMD(x[0], 0)
        objective.setup(model, x)
        (gradient,) = torch.autograd.grad(objective.loss(model, x, Noise([1], 200)).sum(), [model.shift])
        assert gradient.item() * shift > 1


def test_discriminator_finds_the_log_ratio_of_prior_and_codes() -> None:
    shift, model, x = 1.5, Shifted(1, 1.5), torch.zeros(1, 512, 1)
    objective = WAEGAN(x[0], 3, critic_width=16, critic_rate=1e-2)
    objective.setup(model, x)
    noise = Noise([1], 512)
    for _ in range(300):
        objective.loss(model, x, noise)
    z = torch.linspace(-1, 2.5, 20).view(1, 20, 1)
    # Goodfellow et al., proposition 1: logit D = log N(z; 0, 1) - log N(z; shift, 1).
    optimal = shift**2 / 2 - shift * z[..., 0]
    assert (objective.critic(z) - optimal).abs().max() < 0.5
    loss = objective.loss(model, x, Noise([2], 512), train=False)
    nats = math.log(2 * math.pi) / 2
    own = shift + normal(10**6, seed=6).double()
    expected = torch.nn.functional.softplus(-(shift**2 / 2 - shift * own)).mean().item()
    assert (loss.item() - nats) / 10 == pytest.approx(expected, abs=0.15)
    (gradient,) = torch.autograd.grad(objective.loss(model, x, Noise([2], 512), train=False).sum(), [model.shift])
    assert gradient.item() > 1


def test_discriminator_of_the_prior_itself_can_tell_nothing() -> None:
    model, x = Shifted(2, 0.0), torch.zeros(1, 1024, 1)
    objective = WAEGAN(x[0], 3, lam=1.0)
    objective.setup(model, x)
    noise = Noise([1], 1024)
    losses = [objective.loss(model, x, noise).item() - math.log(2 * math.pi) / 2 for _ in range(100)]
    assert np.mean(losses[-20:]) == pytest.approx(math.log(2), abs=0.03)


def test_the_discriminator_learns_and_leaves_the_model_alone() -> None:
    x = normal(1, 30, 3, seed=7)
    model: Any = VAE(SHAPE, 1)
    objective = WAEGAN(x[0], 3)
    objective.setup(model, x)
    parts = (model, objective.critic.network)
    before = [[parameter.detach().clone() for parameter in part.parameters()] for part in parts]
    objective.loss(model, x, Noise([1], 30))
    same = [
        [torch.equal(now, old) for now, old in zip(part.parameters(), olds, strict=True)]
        for part, olds in zip(parts, before, strict=True)
    ]
    assert all(same[0])
    assert not any(same[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lam": -1.0}, "lam must be at least 0, got -1.0"),
        ({"critic_rate": 0.0}, "critic_rate must be above 0, got 0.0"),
        ({"critic_width": 0}, "width and depth must be at least 1, got width 0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    model: Any = VAE(SHAPE, 0)
    with pytest.raises(ValueError, match=message):
        WAEGAN(normal(9, 3, seed=0), 0, **arguments).setup(model, normal(1, 9, 3, seed=0))
