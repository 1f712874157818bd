"""The deterministic autoencoder: a Gaussian fitted to its codes, ragged latent spaces, and refused arguments."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models import AE, Noise, Shape
from models.pack import join, keep
from objectives.losses import Reconstruction
from search.study.configuration import Training
from search.train.pack import Pack

SHAPE = Shape(features=3, source="normal", source_features=1)


def ae(seed: int = 0, **arguments: Any) -> AE:
    return AE(SHAPE, seed, **{"encoder_width": 6, "decoder_width": 5, **arguments})


def rows(pack: int, n: int = 40) -> Tensor:
    return torch.randn(pack, n, 3, generator=torch.Generator().manual_seed(2))


def fitted(models: list[AE], x: Tensor) -> AE:
    pack = join(models)
    with torch.no_grad():
        pack.fit_latent(pack.code(x))
    return pack


def test_gaussian_has_the_moments_of_the_codes() -> None:
    x, model = rows(1), ae(latent=3)
    pack = fitted([model], x)
    codes = model.code(x)[0].detach().double().numpy()
    factor = pack.codes.factor[0].double()
    assert pack.codes.mean[0, 0].numpy() == pytest.approx(codes.mean(0), abs=1e-6)
    assert (factor @ factor.T).numpy() == pytest.approx(np.cov(codes.T, bias=True), rel=1e-4, abs=1e-6)
    assert torch.equal(factor, factor.tril())


def test_draws_have_the_moments_of_the_codes_after_training() -> None:
    x, n = rows(1, 200) @ torch.tensor([[1.0, 0.5, 0], [0, 1, -1], [0.3, 0, 0.6]]), 100000
    trainer = Pack(
        ae(latent=2), Reconstruction(x[0], 0), x, [Training(learning_rate=1e-2, batch=50)], seeds=[1], budget=10
    )
    for _ in range(10):
        trainer.advance()
    trainer.finalize()
    model: Any = trainer.averaged
    with torch.no_grad():
        codes, z = model.code(x)[0], model.codes.draw(Noise([3], n))[0]
    spread = codes.std(0)
    assert ((z.mean(0) - codes.mean(0)).abs() < 5 * spread / n**0.5).all()
    torch.testing.assert_close(z.std(0), spread, rtol=0.02, atol=0)
    torch.testing.assert_close(torch.corrcoef(z.T), torch.corrcoef(codes.T), rtol=0, atol=5 / n**0.5)
    assert torch.corrcoef(codes.T)[0, 1].abs() > 0.1


def test_ragged_latent_spaces_are_fitted_as_alone() -> None:
    models, x = [ae(trial, latent=latent) for trial, latent in enumerate((1, 4, 2))], rows(3)
    pack = fitted(models, x)
    for trial, model in enumerate(models):
        alone, kept = fitted([model], x[[trial]]), keep(pack, [trial])
        torch.testing.assert_close(kept.codes.factor, alone.codes.factor)
        torch.testing.assert_close(kept.codes.mean, alone.codes.mean)
        samples = pack.sample(Noise([5, 6, 7], 20))[trial]
        torch.testing.assert_close(samples, alone.sample(Noise([5 + trial], 20))[0])
    assert (pack.codes.draw(Noise([5, 6, 7], 20))[0, :, 1:] == 0).all()


def test_fitted_gaussians_join_and_leave_unchanged() -> None:
    singles = [fitted([ae(trial, latent=latent)], rows(1) * (trial + 1)) for trial, latent in enumerate((1, 3))]
    pack = join(singles)
    for trial, single in enumerate(singles):
        assert torch.equal(keep(pack, [trial]).codes.factor, single.codes.factor)
        assert torch.equal(pack.sample(Noise([1, 2], 9))[[trial]], single.sample(Noise([1 + trial], 9)))


def test_collapsed_codes_are_sampled_where_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    pack = join([ae(trial, latent=5) for trial in range(40)])
    along = torch.nn.functional.normalize(torch.randn(40, 1, 5, generator=generator), dim=2)
    steps = torch.randn(40, 50, 1, generator=generator)
    pack.fit_latent(steps * along)
    drawn = pack.codes.draw(Noise(range(40), 5000))
    onto = (drawn * along).sum(2, keepdim=True)
    assert (drawn - onto * along).abs().max() < 0.02
    torch.testing.assert_close(onto.std(1), steps.std(1), rtol=0.06, atol=0)
    pack.fit_latent(torch.full((40, 50, 5), 3.0))
    assert torch.equal(pack.codes.draw(Noise(range(40), 10)), torch.full((40, 10, 5), 3.0))


def test_padding_does_not_change_the_ridge() -> None:
    models, line = [ae(1, latent=2), ae(2, latent=4)], torch.tensor([3.0, -1.0, 0, 0])
    codes = torch.randn(2, 30, 1, generator=torch.Generator().manual_seed(0)) * line
    pack = join(models)
    pack.fit_latent(codes)
    models[0].fit_latent(codes[:1, :, :2])
    torch.testing.assert_close(pack.codes.factor[:1, :2, :2], models[0].codes.factor)


def test_a_diverged_trial_leaves_the_others_their_gaussian() -> None:
    codes = rows(3)
    pack = join([ae(trial, latent=3) for trial in range(3)])
    pack.fit_latent(codes)
    expected = pack.codes.factor.clone()
    codes[1] = torch.nan
    pack.fit_latent(codes)
    assert torch.equal(pack.codes.factor[[0, 2]], expected[[0, 2]])


def test_samples_are_decoded_draws_and_gaussian_noise() -> None:
    pack, seeds, n = fitted([ae(1, sigma=0.01), ae(2, sigma=4.0)], rows(2)), [1, 2], 20000
    with torch.no_grad():
        noise = pack.sample(Noise(seeds, n)) - pack.decode(pack.codes.draw(Noise(seeds, n)))
    assert noise[0].std().item() == pytest.approx(0.01, rel=0.02)
    assert noise[1].std().item() == pytest.approx(4.0, rel=0.02)
    assert torch.corrcoef(noise[1].T).fill_diagonal_(0).abs().max() < 5 / n**0.5


def test_unfitted_it_samples_from_a_standard_normal() -> None:
    z = join([ae(1, latent=1), ae(2, latent=3)]).codes.draw(Noise([1, 2], 9))
    assert torch.equal(z, Noise([1, 2], 9).normal("latent", [1, 3]))


def test_dropout_is_for_training_only() -> None:
    model, x = ae(dropout=0.5, encoder_width=50), rows(1, 8)
    assert torch.equal(model.code(x), model.code(x))
    assert not torch.equal(model.code(x, Noise([1], 8)), model.code(x))


def test_facts_compare_encoder_and_decoder() -> None:
    (architecture,) = ae(encoder_width=30, encoder_depth=1, decoder_width=7, decoder_depth=1, latent=2).architecture()
    assert architecture["encoder_parameters"] == (3 + 1) * 30 + (30 + 1) * 2
    assert architecture["decoder_parameters"] == (2 + 1) * 7 + (7 + 1) * 3
    assert architecture["parameters"] == 182 + 45


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"sigma": -1.0}, "sigma must be above 0, got -1.0"),
        ({"encoder_width": 0}, "width and depth must be at least 1, got width 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ae(**arguments)
