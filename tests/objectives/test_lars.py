"""The resampled prior's normaliser: its estimate, its gradient, its average and its frozen value against quadrature."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor, nn

from models import LarsVAE, Noise, Shape
from objectives.losses import LARS
from objectives.losses.lars_vae import estimate

SHAPE = Shape(features=1, source="normal", source_features=1)
# a(z) = sigmoid(w z + b) at w = 2, b = -1 under N(0, 1), by quadrature.
Z, SLOPE, OFFSET = 0.35227356, 0.11928845, 0.39883276
MEAN, LOG_VARIANCE = 0.4, -0.6  # of every posterior


class Logistic(nn.Module):
    """a(z) = sigmoid(w z + b)."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(-1.0))

    def forward(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(self.w * latent + self.b)


class Quantiles:
    """Noise whose draws are the quantiles of N(0, 1), in another order each time."""

    def __init__(self, rows: int) -> None:
        self.rows, self.generator = rows, torch.Generator().manual_seed(0)
        self.values = torch.from_numpy(norm.ppf((torch.arange(rows).double().numpy() + 0.5) / rows)).float()

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        return self.values[torch.randperm(self.rows, generator=self.generator)].view(1, -1, 1)

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        raise NotImplementedError

    def dropout(self, key: str, widths: Sequence[int], rates: Sequence[float]) -> None:
        return None


def model(truncation: int = 10**6) -> Any:
    """LARS VAE with a logistic a(z), and N(MEAN, exp LOG_VARIANCE) for the posterior of any row."""
    built = LarsVAE(SHAPE, 0, latent=1, truncation=truncation)
    built.acceptor = Logistic()  # type: ignore[assignment]
    with torch.no_grad():
        for parameter in built.autoencoder.encoder.parameters():
            parameter.zero_()
        built.autoencoder.encoder.output.bias.copy_(torch.tensor([MEAN, LOG_VARIANCE]))
    return built


def under_posterior(function: Any) -> float:
    scale = torch.tensor(LOG_VARIANCE / 2).exp().item()
    return float(quad(lambda z: function(z) * norm.pdf(z, MEAN, scale), -9, 9)[0])


def sigmoid(value: float) -> float:
    return float(torch.sigmoid(torch.tensor(value, dtype=torch.float64)))


def test_estimate_and_its_gradient_are_unbiased() -> None:
    n, scale = 40000, torch.tensor(LOG_VARIANCE / 2).exp()
    noise, acceptance = Quantiles(n), Logistic()
    proposals, eps = (noise.normal("", [1])[..., 0] for _ in range(2))
    own = MEAN + scale * eps
    ratio = (norm.pdf(own) / norm.pdf(own, MEAN, scale)).astype("float32")
    few = estimate(acceptance(proposals[:, :1]), acceptance(own), torch.from_numpy(ratio))
    assert few.shape == (1, n)
    # One proposal that counts as much as each row of q(z|x): half the mean must be its own, and the other a(z_1).
    own_half = few.mean() - acceptance(proposals[0, 0]) / 2
    assert 2 * own_half.item() == pytest.approx(Z, abs=2e-3)
    found = estimate(acceptance(proposals), acceptance(own), torch.from_numpy(ratio)).mean()
    assert found.item() == pytest.approx(Z, abs=1e-5)
    gradients = torch.autograd.grad(found.log(), [acceptance.w, acceptance.b])
    assert [g.item() for g in gradients] == pytest.approx([SLOPE, OFFSET], abs=2e-5)


def test_loss_weighs_its_own_rows_by_prior_over_posterior() -> None:
    lars, rows, noise, presents = model(), torch.zeros(1, 1, 1), Noise([3], 1), []
    for _ in range(3000):
        objective = LARS(rows[0], 0)
        objective.loss(lars, rows, noise)
        presents.append(objective.average.item())
    # One proposal and one row, each half of the estimate; unweighted, the row's half would be E_q a.
    error = torch.tensor(presents).std().item() / 3000**0.5
    assert sum(presents) / 3000 == pytest.approx(Z, abs=4 * error)
    assert abs(under_posterior(lambda z: sigmoid(2 * z - 1)) - Z) / 2 > 8 * error


def test_no_gradient_passes_the_ratio() -> None:
    ratio = torch.full((1, 3), 2.0, requires_grad=True)
    own = torch.full((1, 3), 0.5, requires_grad=True)
    found = estimate(torch.full((1, 4), 0.25), own, ratio)
    assert found.tolist() == [[pytest.approx((4 * 0.25 + 2 * 0.5) / 5)] * 3]
    gradients = torch.autograd.grad(found.sum(), [own, ratio], allow_unused=True)
    assert gradients[0].tolist() == [[pytest.approx(2 / 5)] * 3]
    assert gradients[1] is None


def test_loss_has_the_gradient_of_the_exact_normaliser() -> None:
    lars, n = model(), 40001
    rows, objective = torch.zeros(1, n, 1), LARS(torch.zeros(n, 1), 0)
    loss = objective.loss(lars, rows, Quantiles(n))
    gradients = torch.autograd.grad(loss.sum(), [lars.acceptor.w, lars.acceptor.b])
    # alpha = 0 here, so that the penalty is log Z - E_q log a(z) and what a(z) has no part in.
    slope = under_posterior(lambda z: (1 - sigmoid(2 * z - 1)) * z)
    offset = under_posterior(lambda z: 1 - sigmoid(2 * z - 1))
    assert [g.item() for g in gradients] == pytest.approx([SLOPE - slope, OFFSET - offset], abs=2e-4)
    assert objective.average.item() == pytest.approx(Z, abs=1e-5)


@pytest.mark.parametrize("truncation", [1, 3, 100])
def test_loss_is_likelihood_and_divergence_from_the_resampled_prior(truncation: int) -> None:
    lars, n = model(truncation), 20001
    rows = torch.zeros(1, n, 1)
    alpha = (1 - Z) ** (truncation - 1)
    resampling = under_posterior(lambda z: torch.tensor((1 - alpha) * sigmoid(2 * z - 1) / Z + alpha).log().item())
    variance = torch.tensor(LOG_VARIANCE).exp().item()
    divergence = (MEAN**2 + variance - LOG_VARIANCE - 1) / 2
    losses = [LARS(rows[0], 0, lam=lam).loss(lars, rows, Quantiles(n)).item() for lam in (0.0, 1.0, 2.5)]
    assert losses[1] - losses[0] == pytest.approx(divergence - resampling, abs=1e-3)
    assert losses[2] - losses[0] == pytest.approx(2.5 * (divergence - resampling), abs=3e-3)


def test_the_normaliser_gives_the_encoder_no_gradient() -> None:
    lars, n = model(5), 50
    rows, objective = torch.randn(1, n, 1, generator=torch.Generator().manual_seed(0)), LARS(torch.zeros(n, 1), 0)
    encoder = list(lars.autoencoder.encoder.parameters())
    trained = torch.autograd.grad(objective.loss(lars, rows, Noise([3], n)).sum(), encoder)
    lars.freeze(objective.average)
    evaluated = torch.autograd.grad(objective.loss(lars, rows, Noise([3], n), train=False).sum(), encoder)
    for one, other in zip(trained, evaluated, strict=True):
        torch.testing.assert_close(one, other)


def test_average_is_a_mean_at_first_and_forgets_later() -> None:
    lars, n = model(), 8
    rows = torch.zeros(1, n, 1)

    def presents(count: int) -> list[float]:
        noise, found = Noise([5], n), []
        for _ in range(count):
            fresh = LARS(rows[0], 0)
            fresh.loss(lars, rows, noise)
            found.append(fresh.average.item())
        return found

    objective, noise, averages = LARS(rows[0], 0), Noise([5], n), []
    for _ in range(150):
        objective.loss(lars, rows, noise)
        averages.append(objective.average.item())
    each = presents(150)
    assert max(each) - min(each) > 0.1
    for count in (1, 2, 50, 100):
        assert averages[count - 1] == pytest.approx(sum(each[:count]) / count, rel=1e-4)
    expected = averages[99]
    for present in each[100:]:
        expected += (present - expected) / 100
    assert averages[-1] == pytest.approx(expected, rel=1e-4)


def test_average_stays_a_probability() -> None:
    lars, rows, objective = model(), torch.zeros(1, 4, 1), LARS(torch.zeros(4, 1), 0)
    with torch.no_grad():  # pi / q is large at the mean of a wide q, and a(z) near 1
        lars.acceptor.b.fill_(9.0)
        lars.autoencoder.encoder.output.bias.copy_(torch.tensor([0.0, 5.0]))
    losses = [objective.loss(lars, rows, Noise([seed], 4)).item() for seed in range(200)]
    assert 0 < objective.average.item() <= 1
    assert torch.tensor(losses).isfinite().all()


@pytest.mark.parametrize("n", [50, 720, 70000])
def test_concluding_freezes_the_normaliser(n: int) -> None:
    lars, objective = model(), LARS(torch.zeros(3, 1), 0)
    rows = torch.zeros(1, n, 1)
    with torch.no_grad():
        objective.finalize(lars, rows, Noise([2], n))
    spread = quad(lambda z: (sigmoid(2 * z - 1) - Z) ** 2 * norm.pdf(z), -9, 9)[0] ** 0.5
    assert lars.state_dict()["normalizer"].item() == pytest.approx(Z, abs=4 * spread / 65536**0.5)
