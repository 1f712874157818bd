"""The plain side of the benchmarks does the same mathematics as genseek: else its times would compare nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_mmd_is_that_of_genseek_up_to_its_constant() -> None:
    from plain import FACTORS, mmd

    from models import Pushforward, Shape
    from models.noise import Noise
    from objectives.losses import MMD

    rows = torch.rand(300, 2, generator=torch.Generator().manual_seed(0))
    objective = MMD(rows, 0)
    model: Any = Pushforward(Shape(2, "normal", 2), 1)
    widths = objective.squared_bandwidth.view(()) * torch.tensor(FACTORS).view(-1, 1, 1)
    for seed in (3, 4):
        y = model.push(model.draw(Noise([seed], 64)))[0]
        theirs = objective.loss(model, rows[None, :64], Noise([seed], 64))[0] - objective.real[0]
        assert mmd(rows[:64], y, widths).item() == pytest.approx(theirs.item(), abs=1e-5)


def test_the_bound_of_a_vae_is_that_of_genseek(monkeypatch: pytest.MonkeyPatch) -> None:
    import plain

    from models import VAE, Shape
    from models.noise import Noise
    from objectives.losses import ELBO

    rows = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    model: Any = VAE(Shape(4, "normal", 4), 0, encoder_width=32, decoder_width=32)
    own = plain.VAE(rows)
    for theirs, perceptron in ((model.encoder, own.encoder), (model.decoder.network, own.decoder)):
        layers = [layer for layer in perceptron if isinstance(layer, torch.nn.Linear)]
        for layer, stacked in zip(layers, [*theirs.hidden, theirs.output], strict=True):
            layer.weight.data, layer.bias.data = stacked.weight.data[0].T.clone(), stacked.bias.data[0, 0].clone()
    # genseek has means and variances side by side, the plain loop one behind the other.
    order = [0, 2, 1, 3]
    last: Any = own.encoder[-1]
    last.weight.data, last.bias.data = last.weight.data[order], last.bias.data[order]
    eps = model.latent_noise(Noise([5], 64))[0]
    monkeypatch.setattr(torch, "randn_like", lambda _: eps)
    expected = ELBO(rows, 0).loss(model, rows[None], Noise([5], 64))
    assert own.loss(rows).item() == pytest.approx(expected.item(), rel=1e-5)


def test_training_lowers_the_loss_with_whole_batches_and_the_schedule() -> None:
    from plain import Training

    rows = torch.rand(150, 2, generator=torch.Generator().manual_seed(0))
    configuration = {"model": "pushforward", "width": 16, "batch": 64, "learning_rate": 0.01, "schedule": "cosine"}
    training = Training(configuration, rows, epochs=40, seed=0)
    assert training.steps == 2
    assert [type(layer).__name__ for layer in training.model.network] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    before = training.model.loss(rows).item()
    for _ in range(40):
        training.epoch()
    assert training.model.loss(rows).item() < before - 0.05
    assert training.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    assert training.optimizer.state[training.model.network[0].weight]["step"] == 80


@pytest.mark.slow
def test_both_sides_train_the_same_networks() -> None:
    from cases import STUDIES, configurations, listed, packed, plainly, products, task
    from plain import Training

    for case in STUDIES:
        study = listed(case, 3, 5)
        chosen = configurations(study)
        rates = [each.training.learning_rate for each in chosen]
        assert rates == pytest.approx([1e-4, 1e-3, 1e-2])
        assert study.budget.evaluation_epochs() == [5]
        shared = task(study)
        pack = packed(shared, chosen)
        rows = shared.featured(chosen[0].training.features, "cpu").train
        training = Training(plainly(chosen[0]), rows, 5, 0)
        sizes = [value.numel() for value in training.model.parameters()]
        assert sum(sizes) == pack.model.architecture()[0]["parameters"]
        assert training.steps == pack.steps
        matrices = sum(value.numel() for value in training.model.parameters() if value.dim() == 2)
        assert products(pack) == 3 * training.batch * matrices
