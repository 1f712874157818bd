"""Likelihood: a fit before training, and a loss that nothing descends."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from models import GMM, Gaussian, Noise, Shape
from objectives.losses import Likelihood
from search.study.configuration import Training
from search.train.pack import Pack

SHAPE = Shape(features=3, source="normal", source_features=1)


def rows(n: int = 400) -> Tensor:
    x = torch.randn(1, n, 3, generator=torch.Generator().manual_seed(0))
    return x @ torch.tensor([[1.0, 0.5, 0], [0, 1, -1], [0.3, 0, 0.6]]) + 1


def test_loss_at_maximum_likelihood_is_the_entropy_of_the_gaussian() -> None:
    x, model = rows(), Gaussian(SHAPE, 0)
    objective = Likelihood(x[0], 3)
    before = objective.loss(model, x, Noise([1], 400)).item()
    objective.setup(model, x)
    loss = objective.loss(model, x, Noise([1], 400))
    covariance = torch.cov(x[0].double().T, correction=0)
    assert loss.shape == (1,)
    assert loss.item() == pytest.approx((3 * (1 + math.log(2 * math.pi)) + covariance.logdet().item()) / 2, rel=1e-4)
    assert before == pytest.approx((3 * math.log(2 * math.pi) + x.square().sum(2).mean().item()) / 2, rel=1e-4)
    assert not loss.requires_grad


def test_a_trainer_takes_it_for_a_closed_form_and_leaves_the_fit() -> None:
    x, model = rows(), GMM(SHAPE, 0, components=2)
    objective = Likelihood(x[0], 3)
    objective.setup(model, x)
    fit = model.density.means.clone()
    trainer = Pack(model, objective, x, [Training(batch=100, average=0.9)], seeds=[1], budget=5)
    loss = trainer.advance()
    assert trainer.closed_form
    assert loss.item() == pytest.approx(-model.log_density(x).mean().item(), rel=1e-5)
    assert torch.equal(trainer.averaged.density.means, fit)  # type: ignore[union-attr, arg-type]
    assert trainer.loss(x, [1]).item() == pytest.approx(loss.item(), rel=1e-5)


def test_the_seed_is_that_of_the_fit() -> None:
    class Seeded:
        def fit(self, rows: Tensor, seed: int) -> None:
            self.got = (rows, seed)

        def log_density(self, rows: Tensor) -> Tensor:
            return rows.sum(2)

    x, model = rows(10), Seeded()
    objective: Any = Likelihood(x[0], 17)
    objective.setup(model, x)
    assert model.got[0] is x
    assert model.got[1] == 17
    assert objective.loss(model, x, Noise([1], 10)).item() == pytest.approx(-x.sum(2).mean().item(), rel=1e-5)
