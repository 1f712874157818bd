"""The resampled prior: its density and its draws against known moments, packs, and refused arguments."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import VAE, LarsVAE, Noise, Shape
from models.pack import join

SHAPE = Shape(features=3, source="normal", source_features=1)
# Mean of the resampled prior with a = Phi in one dimension, at T = 1, 2, 5, 100.
MEANS = {1: 0.0, 2: 0.28209, 5: 0.52893, 100: 0.56419}


class Probit(nn.Module):
    """a(z) = Phi(z)."""

    def forward(self, latent: Tensor) -> Tensor:
        chance: Tensor = torch.special.ndtr(latent)
        return chance


def lars(seed: int = 0, **arguments: Any) -> LarsVAE:
    return LarsVAE(SHAPE, seed, **{"encoder_width": 6, "decoder_width": 5, "acceptance_width": 8, **arguments})


def probits(truncations: Any) -> LarsVAE:
    model = join([lars(trial, latent=1, truncation=truncation) for trial, truncation in enumerate(truncations)])
    model.acceptor = Probit()  # type: ignore[assignment]
    model.freeze(torch.full((len(truncations), 1), 0.5))
    return model


def test_density_has_mass_one_and_the_known_mean() -> None:
    model = probits(MEANS)
    z = torch.linspace(-8, 8, 8001).double()
    proposal = (-z.square() / 2).exp() / (2 * torch.pi) ** 0.5
    with torch.no_grad():
        density = proposal * model.double().log_resampling(z.view(1, -1, 1).expand(4, -1, -1)).exp()
    assert torch.trapezoid(density, z).tolist() == pytest.approx([1] * 4, abs=1e-6)
    assert torch.trapezoid(density * z, z).tolist() == pytest.approx(list(MEANS.values()), abs=1e-5)


def test_density_takes_a_normaliser_as_given() -> None:
    model, z = lars(truncation=3), torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(0))
    given = torch.tensor([[0.1, 0.3, 0.5, 0.7, 1.0]])
    alpha = (1 - given).square()
    expected = ((1 - alpha) * model.acceptance(z) / given + alpha).log()
    torch.testing.assert_close(model.log_resampling(z, given), expected)


def test_draws_have_the_known_means_in_one_pack() -> None:
    n = 200000
    with torch.no_grad():
        z = probits(MEANS).prior(Noise([1, 2, 3, 4], n))[..., 0]
    assert z.mean(1).tolist() == pytest.approx(list(MEANS.values()), abs=4 / n**0.5)


def test_draws_follow_the_density() -> None:
    model, n = lars(3, latent=1, truncation=4), 100000
    with torch.no_grad():
        model.acceptor.output.weight.mul_(30)
        proposals = model.latent_noise(Noise([1], n))
        model.freeze(model.acceptance(proposals).mean(1, keepdim=True))
        weights = model.log_resampling(proposals).exp()
        z = model.prior(Noise([2], n))
        for power in (1, 2, 3):
            values = weights * proposals[..., 0] ** power
            error = (values.var() / n + (z**power).var() / n).sqrt().item()
            assert (z**power).mean().item() == pytest.approx(values.mean().item(), abs=5 * error)
    assert (weights - 1).abs().max() > 0.3


def test_a_function_that_accepts_nothing_gives_the_last_proposal() -> None:
    model = join([lars(1, truncation=3), lars(1, truncation=5)])
    with torch.no_grad():
        model.acceptor.output.bias.fill_(-1e4)
        z, noise = model.prior(Noise([7, 7], 9)), Noise([7, 7], 9)
        proposals = [model.latent_noise(noise) for _ in range(5)]
    assert torch.equal(z[0], proposals[2][0])
    assert torch.equal(z[1], proposals[4][1])


def test_a_function_that_accepts_all_gives_the_vae() -> None:
    model = lars(1)
    with torch.no_grad():
        model.acceptor.output.bias.fill_(1e4)
        assert torch.equal(
            model.sample(Noise([7], 9)), VAE(SHAPE, 1, encoder_width=6, decoder_width=5).sample(Noise([7], 9))
        )


def test_draws_do_not_depend_on_who_else_is_drawn() -> None:
    models = [lars(trial, latent=1 + trial, truncation=truncation) for trial, truncation in enumerate((1, 2, 40))]
    with torch.no_grad():
        models[2].acceptor.output.bias.fill_(-3)
        z = join(models).prior(Noise([5, 6, 7], 30))
        for trial, model in enumerate(models):
            torch.testing.assert_close(z[trial, :, : trial + 1], model.prior(Noise([5 + trial], 30))[0])
            assert (z[trial, :, trial + 1 :] == 0).all()


def test_normaliser_travels_with_the_weights() -> None:
    model, again = lars(1), lars(2)
    model.freeze(torch.tensor([[0.25]]))
    again.load_state_dict(model.state_dict())
    z = torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(0))
    assert again.normalizer.item() == 0.25
    assert torch.equal(again.log_resampling(z), model.log_resampling(z))


def test_acceptance_starts_from_weights_of_its_own() -> None:
    model: Any = LarsVAE(SHAPE, 0, latent=3, encoder_width=100, acceptance_width=100)
    assert not torch.equal(model.acceptor.hidden[0].weight, model.autoencoder.encoder.hidden[0].weight)


def test_facts_count_the_acceptance_network() -> None:
    (architecture,) = lars(latent=2, acceptance_width=7, acceptance_depth=1).architecture()
    (plain,) = VAE(SHAPE, 0, encoder_width=6, decoder_width=5).architecture()
    assert architecture["acceptance_parameters"] == (2 + 1) * 7 + (7 + 1)
    assert architecture["parameters"] == plain["parameters"] + architecture["acceptance_parameters"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truncation": 0}, "truncation must be at least 1, got 0"),
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"sigma": 0.0}, "sigma must be above 0, got 0.0"),
        ({"acceptance_width": 0}, "width and depth must be at least 1, got width 0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lars(**arguments)
