"""What holds for the objectives of all autoencoders: one likelihood, closed forms, and samples that improve."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor
from torch.distributions import Normal

from models import AE, VAE, LarsVAE, Model, Noise, Shape
from models.pack import join
from objectives.losses import ELBO, LARS, OBJECTIVES, W2VAE, Objective, Reconstruction
from objectives.losses.w2_vae import squared_w2
from objectives.scores.mmd import mmd_biased
from objectives.scores.score import squared_bandwidth
from search.study.configuration import Training
from search.study.study import serving
from search.train.pack import Pack

SHAPE = Shape(features=3, source="normal", source_features=1)
OF_VAE = ("elbo", "w2_vae", "wae_mmd", "wae_gan")
PAIRS = [("ae", "reconstruction"), *(("vae", name) for name in OF_VAE), ("lars_vae", "lars_vae")]
FAMILIES: dict[str, Any] = {"ae": AE, "vae": VAE, "lars_vae": LarsVAE}


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def prepared(family: str, name: str, rows: Tensor, seed: int = 1, **arguments: Any) -> tuple[Model, Objective[Any]]:
    model = FAMILIES[family](Shape(rows.shape[1], "normal", 1), seed, **arguments)
    objective = OBJECTIVES[name](rows, seed)
    objective.setup(model, rows.unsqueeze(0))
    return model, objective


def with_strength(name: str, rows: Tensor, strength: float) -> Objective[Any]:
    return OBJECTIVES[name](rows, 1, **{"beta" if name == "elbo" else "lam": strength})


def test_each_family_is_trained_by_its_own_objectives_alone() -> None:
    assert serving("ae") == ["reconstruction"]
    assert serving("lars_vae") == ["lars_vae"]
    assert sorted(serving("vae")) == sorted(OF_VAE)


def test_reconstruction_is_the_likelihood_of_the_decoder() -> None:
    x = normal(2, 30, 3, seed=0)
    model: Any = join([AE(SHAPE, 1, latent=1, sigma=0.4), AE(SHAPE, 2, latent=3, sigma=1.5, learn_sigma=True)])
    expected = Normal(model.decode(model.code(x)), torch.tensor([0.4, 1.5]).view(2, 1, 1)).log_prob(x).sum(2).mean(1)
    objective = join([Reconstruction(x[0], 0), Reconstruction(x[1], 0)])
    torch.testing.assert_close(objective.loss(model, x, Noise([1, 2], 30)), -expected)


@pytest.mark.parametrize("train", [True, False])
def test_without_a_penalty_all_are_the_same_likelihood(train: bool) -> None:
    x = normal(1, 25, 3, seed=1)
    losses = {}
    for name in OF_VAE:
        model, objective = VAE(SHAPE, 3, sigma=0.7, learn_sigma=True), with_strength(name, x[0], 0.0)
        objective.setup(model, x)
        losses[name] = objective.loss(model, x, Noise([4], 25), train).item()
    # The same weights inside, and the same draw of the latent noise.
    resampled = LarsVAE(SHAPE, 3, sigma=0.7, learn_sigma=True)
    losses["lars_vae"] = with_strength("lars_vae", x[0], 0.0).loss(resampled, x, Noise([4], 25), train).item()
    assert list(losses.values()) == pytest.approx([losses["elbo"]] * 5, rel=1e-6)


@pytest.mark.parametrize("name", OF_VAE)
def test_the_penalty_is_weighted_by_its_strength(name: str) -> None:
    x, losses = normal(1, 25, 3, seed=1), []
    for strength in (0.0, 1.0, 3.0):
        model, objective = VAE(SHAPE, 3), with_strength(name, x[0], strength)
        objective.setup(model, x)
        losses.append(objective.loss(model, x, Noise([4], 25), train=False).item())
    assert abs(losses[1] - losses[0]) > 1e-3
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_evaluation_changes_nothing_and_drops_nothing(family: str, name: str) -> None:
    x = normal(40, 3, seed=2)
    model, objective = prepared(family, name, x, dropout=0.5)
    objective.loss(model, x.unsqueeze(0), Noise([1], 40))
    state = {key: value.clone() for key, value in objective.state_dict().items()}
    with torch.no_grad():
        plain = FAMILIES[family](SHAPE, 1)
        losses = [objective.loss(one, x.unsqueeze(0), Noise([2], 40), train=False) for one in (model, plain, model)]
    assert torch.equal(losses[0], losses[1])
    assert torch.equal(losses[0], losses[2])
    assert all(torch.equal(value, state[key]) for key, value in objective.state_dict().items())
    assert not torch.equal(objective.loss(model, x.unsqueeze(0), Noise([2], 40)), losses[0])


def test_w2_known_value() -> None:
    mean, deviation = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[0.5, 2.0]]])
    assert squared_w2(mean, 2 * deviation.log()).item() == pytest.approx(6.25)


def test_w2_equals_the_distance_of_two_gaussians() -> None:
    mean, log_variance = normal(2, 7, 3, seed=3), normal(2, 7, 3, seed=4)
    found = squared_w2(mean, log_variance)
    for trial in range(2):
        for row in range(7):
            covariance = np.diag(log_variance[trial, row].double().exp().numpy())
            cross = sqrtm(covariance).real
            expected = mean[trial, row].square().sum().item() + np.trace(covariance + np.eye(3) - 2 * cross)
            assert found[trial, row].item() == pytest.approx(expected, rel=1e-5)


def test_w2_vanishes_at_the_prior_alone_and_pulls_towards_it() -> None:
    assert squared_w2(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)).item() == 0
    mean, log_variance = torch.tensor([[[0.5]]], requires_grad=True), torch.tensor([[[-2.0]]], requires_grad=True)
    gradients = torch.autograd.grad(squared_w2(mean, log_variance).sum(), [mean, log_variance])
    # d|m|^2/dm = 2 m; d(s - 1)^2/d log s^2 = (s - 1) s.
    assert [g.item() for g in gradients] == pytest.approx([1.0, (np.exp(-1) - 1) * np.exp(-1)], rel=1e-5)


def test_w2_loss_is_likelihood_and_distance() -> None:
    x = normal(1, 25, 3, seed=5)
    model: Any = VAE(SHAPE, 3, latent=3)
    expected = ELBO(x[0], 0, beta=0.0).loss(model, x, Noise([4], 25)) + 0.3 * squared_w2(*model.encode(x)).mean(1)
    torch.testing.assert_close(W2VAE(x[0], 0, lam=0.3).loss(model, x, Noise([4], 25)), expected)


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_training_brings_samples_nearer_to_the_data(family: str, name: str) -> None:
    angle, radius = 2 * torch.pi * torch.rand(512, generator=torch.Generator().manual_seed(0)), normal(512, seed=1)
    rows = torch.stack([angle.cos(), angle.sin()], 1) * (2 + 0.2 * radius).unsqueeze(1) + torch.tensor([1.0, -1.0])
    model, objective = prepared(family, name, rows, encoder_width=32, decoder_width=32, sigma=0.2)
    trainer = Pack(model, objective, rows.unsqueeze(0), [Training(learning_rate=5e-3, batch=128)], seeds=[2], budget=40)

    def discrepancy() -> float:
        trainer.finalize()
        with torch.no_grad():
            made = trainer.averaged.sample(Noise([3], 512))[0].double().numpy()
        return float(mmd_biased(rows.double().numpy(), made, squared_bandwidth(rows.double().numpy(), 0)))

    before = discrepancy()
    for _ in range(40):
        trainer.advance()
    after = discrepancy()
    assert before > 0.2
    assert after < 0.25 * before


@pytest.mark.parametrize("objective", [ELBO, LARS])
def test_refuses_arguments_out_of_range(objective: Any) -> None:
    with pytest.raises(ValueError, match=f"{'beta' if objective is ELBO else 'lam'} must be at least 0, got -0.5"):
        objective(normal(9, 2, seed=0), 0, **{"beta" if objective is ELBO else "lam": -0.5})
    with pytest.raises(ValueError, match="ramp_steps must be at least 1, got 0"):
        objective(normal(9, 2, seed=0), 0, ramp_steps=0)
