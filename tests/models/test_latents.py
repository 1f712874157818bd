"""Rows from given latents."""

import pytest
import torch

from models import MODELS, Noise, Shape
from models.features import FEATURES
from models.generator import Generator
from models.latents import latent_columns, sample_latents
from models.noise import hashed_seed

SHAPE = Shape(features=2, source="normal", source_features=1)
COLUMNS = {
    "pushforward": 3,
    "chained": 1,
    "stochastic": 1,
    "ae": 3,
    "vae": 3,
    "lars_vae": 3,
    "flow_matching": 2,
    "spline_flow": 2,
    "diffusion": 2,
}


def generator(model: str) -> Generator:
    arguments = {"noise": 2} if model == "pushforward" else {"latent": 3} if model.endswith("ae") else {}
    rows = torch.randn(60, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Generator(MODELS[model](SHAPE, 4, **arguments), FEATURES["standard"](rows), ("a", "b"))


@pytest.mark.parametrize("model", MODELS)
def test_the_families_with_latents_and_their_columns(model: str) -> None:
    assert latent_columns(generator(model)) == COLUMNS.get(model, 0)


@pytest.mark.parametrize("model", COLUMNS)
def test_rows_follow_their_latents(model: str) -> None:
    trained = generator(model)
    latents = torch.randn(5, COLUMNS[model], generator=torch.Generator().manual_seed(2))
    rows = sample_latents(trained, latents, 3)
    assert rows.shape == (5, 2)
    assert torch.equal(rows, sample_latents(trained, latents.double(), 3))
    moved = latents.clone()
    moved[2, -1] += 1
    changed = (sample_latents(trained, moved, 3) != rows).any(1)
    assert changed.tolist() == [False, False, True, False, False]


def test_a_decoder_adds_its_noise_by_seed() -> None:
    trained, latents = generator("vae"), torch.zeros(4, 3)
    noise = Noise([hashed_seed(3, "latents")], 4)
    with torch.no_grad():
        decoded = trained.model.decoder.draw(latents.unsqueeze(0), noise)[0]  # type: ignore[union-attr, operator]
    assert torch.equal(sample_latents(trained, latents, 3), trained.features.inverse(decoded.double()))
    assert not torch.equal(sample_latents(trained, latents, 4), sample_latents(trained, latents, 3))
