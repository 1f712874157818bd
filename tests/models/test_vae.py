"""The variational autoencoder: padding of the latent space, sigma, and refused arguments."""

from typing import Any

import pytest
import torch
from torch import Tensor

from models import VAE, Noise, Shape
from models.pack import join

SHAPE = Shape(features=3, source="normal", source_features=1)


def vae(seed: int = 0, **arguments: Any) -> VAE:
    return VAE(SHAPE, seed, **{"encoder_width": 6, "decoder_width": 5, **arguments})


def rows(pack: int, n: int = 8) -> Tensor:
    return torch.randn(pack, n, 3, generator=torch.Generator().manual_seed(2))


def test_padding_of_the_latent_space_sits_on_the_prior() -> None:
    mean, log_variance = join([vae(1, latent=1), vae(2, latent=4)]).encode(rows(2))
    assert mean.shape == log_variance.shape == (2, 8, 4)
    assert (mean[0, :, 1:] == 0).all()
    assert (log_variance[0, :, 1:] == 0).all()
    own = vae(1, latent=1).encode(rows(2)[:1])
    torch.testing.assert_close(mean[0, :, :1], own[0][0])
    torch.testing.assert_close(log_variance[0, :, :1], own[1][0])


def test_mean_and_variance_are_different_heads() -> None:
    model = vae(latent=3)
    mean, log_variance = model.encode(rows(1))
    assert not torch.allclose(mean, log_variance)
    before = log_variance.detach().clone()
    (gradient,) = torch.autograd.grad(mean[:, 0].sum(), [model.encoder.output.bias])
    with torch.no_grad():
        model.encoder.output.bias.add_(5 * gradient)
    after = model.encode(rows(1))
    torch.testing.assert_close(after[0], mean + 5)
    torch.testing.assert_close(after[1], before)


def test_prior_draws_have_their_own_width() -> None:
    z = join([vae(1, latent=1), vae(2, latent=4)]).latent_noise(Noise([1, 2], 9))
    assert z.shape == (2, 9, 4)
    assert (z[0, :, 1:] == 0).all()
    assert (z[1] != 0).all()


def test_samples_are_decoded_draws_and_gaussian_noise() -> None:
    sigmas, n = [0.01, 0.5, 20.0], 20000
    pack, seeds = join([vae(trial, sigma=sigma) for trial, sigma in enumerate(sigmas)]), [1, 2, 3]
    with torch.no_grad():
        noise = pack.sample(Noise(seeds, n)) - pack.decode(pack.latent_noise(Noise(seeds, n)))
    for trial, sigma in enumerate(sigmas):
        own = noise[trial].double() / sigma
        assert own.mean().abs() < 5 / (3 * n) ** 0.5
        assert own.std().item() == pytest.approx(1, abs=5 / (6 * n) ** 0.5)
        assert torch.corrcoef(own.T).fill_diagonal_(0).abs().max() < 5 / n**0.5


def test_sigma_is_learned_only_where_asked() -> None:
    pack = join([vae(1, sigma=0.5), vae(2, sigma=0.25, learn_sigma=True)])
    torch.testing.assert_close(pack.log_scale().exp(), torch.tensor([0.5, 0.25]).view(2, 1, 1).expand(2, 1, 3))
    (gradient,) = torch.autograd.grad(pack.log_scale().sum(), [pack.decoder.log_sigma])
    assert gradient.tolist() == [[[0, 0, 0]], [[1, 1, 1]]]


def test_sigmoid_decoder_stays_in_the_unit_interval() -> None:
    with torch.no_grad():
        x = vae(output="sigmoid").decode(100 * torch.randn(1, 50, 2, generator=torch.Generator().manual_seed(0)))
    assert x.min() >= 0
    assert x.max() <= 1


def test_dropout_is_for_training_only() -> None:
    model, x = vae(dropout=0.5, encoder_width=50, decoder_width=50), rows(1)
    assert torch.equal(model.encode(x)[0], model.encode(x)[0])
    assert not torch.equal(model.encode(x, Noise([1], 8))[0], model.encode(x)[0])
    z = torch.ones(1, 8, 2)
    assert not torch.equal(model.decode(z, Noise([1], 8)), model.decode(z))


def test_facts_compare_encoder_and_decoder() -> None:
    (architecture,) = vae(encoder_width=30, encoder_depth=1, decoder_width=7, decoder_depth=1, latent=2).architecture()
    assert architecture["encoder_parameters"] == (3 + 1) * 30 + (30 + 1) * 4
    assert architecture["decoder_parameters"] == (2 + 1) * 7 + (7 + 1) * 3
    assert 2 ** architecture["log2_encoder_over_decoder"] == pytest.approx(244 / 45)
    assert architecture["parameters"] == 244 + 45


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"sigma": 0.0}, "sigma must be above 0, got 0.0"),
        ({"sigma": float("inf")}, "sigma must be above 0, got inf"),
        ({"sigma": float("nan")}, "sigma must be above 0, got nan"),
        ({"encoder_width": 0}, "width and depth must be at least 1, got width 0"),
        ({"decoder_depth": 0}, "width and depth must be at least 1, got width 5 and depth 0"),
        ({"dropout": 2.0}, "dropout must be at least 0 and below 1, got 2.0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vae(**arguments)
