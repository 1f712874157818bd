"""Training losses against loops, closed forms and torch's own distributions."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from models import VAE, Model, Noise, Pushforward, Shape
from models.pack import join
from objectives.losses import ELBO, MMD

POPULATION = 0.0533037235805  # MMD^2 of N(0, I_2) and N((.5, .5), I_2) with exp(-|a - b|^2 / 2)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Identity(nn.Module):
    """A pushforward that returns its normal source, shifted."""

    def __init__(self, pack: int, features: int, shift: float = 0.0) -> None:
        super().__init__()
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


def mmd_with_bandwidth(rows: Tensor, squared_bandwidth: float, kernel: Any = "fixed") -> MMD:
    return MMD(rows, 0, kernel=kernel, bandwidth=squared_bandwidth / MMD(rows, 0).squared_bandwidth.item())


def slow_mmd(data: np.ndarray, rows: np.ndarray, made: np.ndarray, squared_bandwidths: Sequence[float]) -> float:
    """Lemma 6 of Gretton et al., with the real-real term over all of `data`, one pair at a time."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(
            np.mean(
                [math.exp(-float(((a - b) ** 2).sum()) / squared_bandwidth) for squared_bandwidth in squared_bandwidths]
            )
        )

    def within(x: np.ndarray) -> float:
        return float(np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]))

    return within(data) + within(made) - 2 * float(np.mean([k(a, b) for a in rows for b in made]))


def test_mmd_equals_a_loop_over_pairs() -> None:
    settings: list[dict[str, Any]] = [
        {"kernel": "fixed"},
        {"kernel": "mixture", "bandwidth": 0.7},
        {"kernel": "fixed", "bandwidth": 3.0},
        {},
    ]
    data = [(trial + 1) * normal(14, 2, seed=trial) for trial in range(4)]
    objectives = [MMD(data[trial], trial, **setting) for trial, setting in enumerate(settings)]
    rows, seeds = torch.stack(data)[:, :9], [5, 6, 7, 8]
    losses = join(objectives).loss(Identity(4, 2, 0.3), rows, Noise(seeds, 9))
    made = Identity(4, 2, 0.3).push(Identity(4, 2).draw(Noise(seeds, 9))).double().numpy()
    for trial, setting in enumerate(settings):
        x = data[trial].double().numpy()
        squares = sorted(((x[i] - x[j]) ** 2).sum() for i in range(14) for j in range(i))
        squared_bandwidth = setting.get("bandwidth", 1.0) * squares[(len(squares) - 1) // 2]
        scales = [1] if setting.get("kernel") == "fixed" else [1 / 4, 1 / 2, 1, 2, 4]
        expected = slow_mmd(x, x[:9], made[trial], [scale * squared_bandwidth for scale in scales])
        assert losses[trial].item() == pytest.approx(expected, abs=2e-6)
        alone = objectives[trial].loss(Identity(1, 2, 0.3), rows[[trial]], Noise([seeds[trial]], 9))
        assert alone.item() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(("shift", "population"), [(0.0, 0.0), (0.5, POPULATION)])
def test_mmd_is_unbiased(shift: float, population: float) -> None:
    trials, n = 800, 16
    data = normal(trials, n, 2, seed=1)
    losses = join([mmd_with_bandwidth(rows, 2.0) for rows in data]).loss(
        Identity(trials, 2, shift), data, Noise(range(trials), n)
    )
    error = losses.std().item() / trials**0.5
    assert losses.mean().item() == pytest.approx(population, abs=4 * error)
    # The biased form would be off by the two diagonals, 2 (1 - E k) / n: far more than the error.
    assert 2 * (1 - 1 / 3) / n > 20 * error
    assert losses.min() < 0


def test_mmd_of_many_rows_is_near_the_population_value() -> None:
    data = normal(2000, 2, seed=2)
    loss = mmd_with_bandwidth(data, 2.0).loss(Identity(1, 2, 0.5), data.unsqueeze(0), Noise([3], 2000))
    assert loss.item() == pytest.approx(POPULATION, abs=0.008)


KERNELS: list[Any] = ["mixture", "fixed", "fixed", "mixture", "fixed"]


class Given:
    """A pushforward whose rows are known."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def draw(self, noise: Any) -> Tensor:
        return self.rows

    def push(self, inputs: Tensor, noise: Any = None) -> Tensor:
        return inputs


@pytest.mark.parametrize("block", [1, 300, 2**16])
def test_mmd_gradient_is_exact_whatever_is_swept_at_a_time(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("objectives.losses.mmd.BLOCK", block)
    rows, made = normal(5, 8, 3, seed=1).double(), 1.3 * normal(5, 8, 3, seed=2).double() + 0.4
    objective = join([MMD(own, 0, kernel=kernel) for own, kernel in zip(rows, KERNELS, strict=True)]).double()

    def loss(y: Tensor) -> Tensor:
        return objective.loss(Given(y), rows, Noise(range(5), 8))

    assert torch.autograd.gradcheck(loss, made.requires_grad_(), rtol=1e-7, atol=1e-9)
    for trial, kernel in enumerate(KERNELS):
        alone = MMD(rows[trial], 0, kernel=kernel).double()
        torch.testing.assert_close(alone.loss(Given(made[[trial]]), rows[[trial]], Noise([0], 8)), loss(made)[[trial]])


@pytest.mark.parametrize("kernel", ["fixed", "mixture"])
def test_mmd_is_as_accurate_far_from_the_origin(kernel: Any) -> None:
    rows, made = normal(1, 30, 2, seed=1), normal(1, 30, 2, seed=2) + 0.5
    results = []
    for shift in (0.0, 512.0):
        y = (made * 64).round() / 64 + shift
        x = (rows * 64).round() / 64 + shift
        objective = MMD(x[0] - shift, 0, kernel=kernel)
        loss = objective.loss(Given(y.requires_grad_()), x, Noise([0], 30))
        results.append((loss.detach(), torch.autograd.grad(loss.sum(), y)[0]))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-3, atol=1e-6)


def test_mmd_of_a_diverged_trial_harms_no_other() -> None:
    rows, made = normal(3, 10, 2, seed=1), normal(3, 10, 2, seed=2)
    made[1, 4, 0] = float("nan")
    made.requires_grad_()
    loss = join([MMD(own, 0) for own in rows]).loss(Given(made), rows, Noise(range(3), 10))
    assert loss.isfinite().tolist() == [True, False, True]
    (gradient,) = torch.autograd.grad(loss.sum(), made)
    assert gradient.isfinite().all(2).all(1).tolist() == [True, False, True]


def test_mmd_gradient_is_finite_where_rows_coincide() -> None:
    made = torch.zeros(1, 6, 2, requires_grad=True)
    loss = MMD(normal(6, 2, seed=1), 0).loss(Given(made), torch.zeros(1, 6, 2), Noise([0], 6))
    (gradient,) = torch.autograd.grad(loss.sum(), made)
    assert (gradient == 0).all()


def test_mmd_ruler_is_the_median_squared_distance() -> None:
    data = torch.tensor([[0.0], [1.0], [3.0]])
    assert MMD(data, 0).squared_bandwidth.item() == pytest.approx(4)
    assert MMD(data, 0, bandwidth=0.5).squared_bandwidth.item() == pytest.approx(2)
    # |a - b|^2 of two standard normal rows of k columns is 2 chi^2_k; its median for k = 2 is 4 log 2.
    assert MMD(normal(2000, 2, seed=4), 0).squared_bandwidth.item() == pytest.approx(4 * math.log(2), rel=0.05)
    assert MMD(torch.ones(5, 2), 0).squared_bandwidth.item() > 0


def test_mmd_does_not_depend_on_the_unit() -> None:
    data = normal(50, 2, seed=5)
    losses = [
        MMD(scale * data, 0).loss(Scaled(scale), scale * data.unsqueeze(0), Noise([1], 50)).item() for scale in (1, 64)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


class Scaled(Identity):
    def __init__(self, scale: float) -> None:
        super().__init__(1, 2)
        self.scale = scale

    def push(self, inputs: Tensor, noise: Any = None) -> Tensor:
        return inputs * self.scale


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bandwidth": 0.0}, "bandwidth must be above 0, got 0.0"),
        ({"bandwidth": float("inf")}, "bandwidth must be above 0, got inf"),
        ({"kernel": "laplace"}, "kernel must be fixed or mixture, got 'laplace'"),
    ],
)
def test_mmd_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MMD(normal(9, 2, seed=0), 0, **arguments)


@pytest.mark.parametrize("beta", [-0.1, float("nan"), float("inf")])
def test_elbo_refuses_beta_out_of_range(beta: float) -> None:
    with pytest.raises(ValueError, match=f"beta must be at least 0, got {beta}"):
        ELBO(normal(9, 2, seed=0), 0, beta=beta)


def linear_vae(weight: Tensor, shift: Tensor, encoder: Tensor, offset: Tensor, spread: Tensor, sigma: float) -> Any:
    """VAE with decode(z) = z W^T + shift, mean(x) = x A^T + offset, variance `spread`, through x = relu(x) - relu(-x).

    weight W [features, latent], encoder A [latent, features].
    """
    features, latent = weight.shape
    shape = Shape(features=features, source="normal", source_features=1)
    model: Any = VAE(
        shape, 0, latent=latent, encoder_width=2 * features, encoder_depth=1, decoder_width=2 * latent,
        decoder_depth=1, sigma=sigma, learn_sigma=True,
    )  # fmt: skip
    heads = torch.zeros(features, 2 * latent)
    heads[:, 0::2] = encoder.T
    with torch.no_grad():
        for parameter in [*model.encoder.parameters(), *model.decoder.network.parameters()]:
            parameter.zero_()
        model.encoder.hidden[0].weight[0] = torch.cat([torch.eye(features), -torch.eye(features)], 1)
        model.encoder.output.weight[0] = torch.cat([heads, -heads])
        model.encoder.output.bias[0, 0, 0::2] = offset
        model.encoder.output.bias[0, 0, 1::2] = spread.log()
        model.decoder.network.hidden[0].weight[0] = torch.cat([torch.eye(latent), -torch.eye(latent)], 1)
        model.decoder.network.output.weight[0] = torch.cat([weight.T, -weight.T])
        model.decoder.network.output.bias[0, 0] = shift
    return model


WEIGHT = torch.tensor([[1.0, 0.5], [-0.4, 0.8], [0.3, -0.2]])
ORTHOGONAL = torch.tensor([[1.0, 0.8], [0.5, -0.6], [0.5, -1.0]])
SHIFT, SIGMA = torch.tensor([0.2, -1.0, 0.5]), 0.6
ENCODER, OFFSET, SPREAD = 0.3 * WEIGHT.T, torch.tensor([0.1, -0.2]), torch.tensor([0.4, 0.9])


@pytest.mark.parametrize("beta", [0.0, 1.0, 3.5])
def test_elbo_equals_torch_distributions(beta: float) -> None:
    model, x = linear_vae(WEIGHT, SHIFT, ENCODER, OFFSET, SPREAD, SIGMA), normal(1, 40, 3, seed=3)
    loss = ELBO(x[0], 0, beta=beta).loss(model, x, Noise([1], 40))
    posterior = Normal(x @ ENCODER.T + OFFSET, SPREAD.sqrt())
    z = posterior.loc + posterior.scale * model.latent_noise(Noise([1], 40))
    likelihood = Normal(z @ WEIGHT.T + SHIFT, SIGMA).log_prob(x).sum(2)
    divergence = kl_divergence(posterior, Normal(torch.zeros(2), torch.ones(2))).sum(2)
    assert loss.item() == pytest.approx((beta * divergence - likelihood).mean().item(), rel=1e-5)


@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_elbo_averages_to_its_closed_form(beta: float) -> None:
    repeats, x = 4000, normal(6, 3, seed=4)
    model = linear_vae(WEIGHT, SHIFT, ENCODER, OFFSET, SPREAD, SIGMA)
    many = x.repeat(repeats, 1).unsqueeze(0)
    loss = ELBO(x, 0, beta=beta).loss(model, many, Noise([2], many.shape[1])).item()
    mean = x @ ENCODER.T + OFFSET
    squares = (x - mean @ WEIGHT.T - SHIFT).square() + WEIGHT.square() @ SPREAD
    nats = (squares / (2 * SIGMA**2) + math.log(SIGMA) + math.log(2 * math.pi) / 2).sum(1)
    divergence = (mean.square() + SPREAD - SPREAD.log() - 1).sum(1) / 2
    assert loss == pytest.approx((nats + beta * divergence).mean().item(), abs=0.08)


def test_elbo_is_at_most_the_log_likelihood_and_tight_at_the_posterior() -> None:
    # Columns of W orthogonal, so that the true posterior N(S W^T (x - b) / sigma^2, S) has a diagonal S.
    exact = 1 / (1 + ORTHOGONAL.square().sum(0) / SIGMA**2)
    encoder = exact.unsqueeze(1) * ORTHOGONAL.T / SIGMA**2
    marginal = MultivariateNormal(SHIFT, ORTHOGONAL @ ORTHOGONAL.T + SIGMA**2 * torch.eye(3))
    x = marginal.loc + normal(8000, 3, seed=6) @ torch.linalg.cholesky(marginal.covariance_matrix).T
    negative_log_likelihood = -marginal.log_prob(x).mean().item()

    def bound(encoder: Tensor, spread: Tensor) -> float:
        model = linear_vae(ORTHOGONAL, SHIFT, encoder, -encoder @ SHIFT, spread, SIGMA)
        return ELBO(x, 0).loss(model, x.unsqueeze(0), Noise([7], len(x))).item()

    assert bound(encoder, exact) == pytest.approx(negative_log_likelihood, abs=0.04)
    for factor, spread in [(0.5, exact), (1.0, 3 * exact), (1.0, exact / 3), (1.4, exact)]:
        assert bound(factor * encoder, spread) > negative_log_likelihood + 0.1


def test_elbo_of_an_encoder_on_the_prior_is_the_reconstruction_alone() -> None:
    model = linear_vae(WEIGHT, SHIFT, torch.zeros(2, 3), torch.zeros(2), torch.ones(2), SIGMA)
    x = normal(1, 30, 3, seed=8)
    losses = [ELBO(x[0], 0, beta=beta).loss(model, x, Noise([1], 30)).item() for beta in (0.0, 1.0, 100.0)]
    assert losses == pytest.approx([losses[0]] * 3)


def test_elbo_gradient_of_sigma_vanishes_at_the_mean_square_error() -> None:
    x = normal(1, 5000, 3, seed=9)
    model = linear_vae(torch.zeros(3, 1), SHIFT, torch.zeros(1, 3), torch.zeros(1), torch.ones(1), SIGMA)
    best = (x[0] - SHIFT).square().mean(0).sqrt()
    for scale, sign in [(0.8, -1), (1.0, 0), (1.25, 1)]:
        with torch.no_grad():
            model.decoder.log_sigma[0, 0] = (scale * best).log()
        loss = ELBO(x[0], 0).loss(model, x, Noise([1], 5000))
        (gradient,) = torch.autograd.grad(loss.sum(), [model.decoder.log_sigma])
        assert torch.equal(gradient.flatten().sign() * (gradient.flatten().abs() > 1e-4), torch.full((3,), float(sign)))


def test_evaluation_drops_nothing() -> None:
    x = normal(1, 20, 3, seed=1)
    shape = Shape(features=3, source="normal", source_features=2)
    cases: list[tuple[Any, Model, Model]] = [
        (MMD(x[0], 0), Pushforward(shape, 1, dropout=0.5), Pushforward(shape, 1)),
        (ELBO(x[0], 0), VAE(shape, 1, dropout=0.5), VAE(shape, 1)),
    ]
    for objective, dropping, plain in cases:
        evaluated = objective.loss(dropping, x, Noise([1], 20), train=False)
        assert torch.equal(evaluated, objective.loss(plain, x, Noise([1], 20), train=False))
        assert not torch.equal(evaluated, objective.loss(dropping, x, Noise([1], 20)))


@pytest.mark.parametrize("name", ["mmd fixed", "mmd mixture", "elbo"])
def test_gradient_equals_finite_differences(name: str) -> None:
    shape = Shape(features=3, source="uniform", source_features=2)
    x = normal(2, 12, 3, seed=2).double()
    model: Any
    objective: Any
    if name == "elbo":
        model = join([VAE(shape, 1, latent=1, activation="tanh"), VAE(shape, 2, latent=3, learn_sigma=True)])
        objective = join([ELBO(x[0], 0), ELBO(x[1], 0, beta=0.3)])
    else:
        several = [Pushforward(shape, 1, activation="tanh", noise=2), Pushforward(shape, 2, activation="silu")]
        model, kernel = join(several), name.split()[1]
        objective = join([MMD(rows, 0, kernel=kernel) for rows in x])  # type: ignore[arg-type]
    model, objective = model.double(), objective.double()
    parameters = list(model.parameters())

    def loss() -> Tensor:
        value: Tensor = objective.loss(model, x, Doubled(Noise([3, 4], 12)))
        return value

    generator = torch.Generator().manual_seed(5)
    for trial in range(2):
        gradients = torch.autograd.grad(loss()[trial], parameters)
        directions = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]
        for number, direction in enumerate(directions):
            if name == "elbo" and trial == 0 and parameters[number] is model.decoder.log_sigma:
                direction[0] = 0  # sigma is not learned, and its gradient is zero by design
        step = 1e-6
        values = []
        for side in (1, -1):
            with torch.no_grad():
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.add_(side * step * direction)
                values.append(loss()[trial])
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.sub_(side * step * direction)
        slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
        torch.testing.assert_close((values[0] - values[1]) / (2 * step), slope, rtol=1e-6, atol=1e-8)
