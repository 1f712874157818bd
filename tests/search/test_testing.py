"""The checks for plug-ins pass what is right, and tell in one line what is broken."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models import Noise, Pushforward
from objectives import OBJECTIVES, PROBLEMS, SCORES
from objectives.losses import ELBO, MMD
from objectives.problems.known import Gaussian1D
from objectives.problems.problem import Array, Rows
from objectives.scores import Measure
from objectives.scores.anderson_darling import AndersonDarling
from search.testing import check_loss, check_model, check_problem, check_score

NETWORKS: list[dict[str, Any]] = [
    {"width": 5, "depth": 1, "activation": "tanh", "output": "sigmoid"},
    {"width": 9, "noise": 2, "dropout": 0.2},
]
KERNELS: list[dict[str, Any]] = [{"kernel": "fixed", "bandwidth": 2.0}, {}]


class MixedModel(Pushforward):  # type: ignore[misc]
    """A model whose rows depend on the other networks of the pack."""

    def push(self, inputs: Tensor, noise: Noise | None = None) -> Tensor:
        rows: Tensor = super().push(inputs, noise)
        return rows + 0.1 * rows.mean(0, keepdim=True)


class MixedLoss(MMD):  # type: ignore[misc]
    """A loss that adds the mean over the networks of the pack."""

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        losses = super().loss(model, rows, noise, train)
        return losses + losses.mean()


class ReducedLoss(MMD):  # type: ignore[misc]
    """One loss for all networks of the pack."""

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        return super().loss(model, rows, noise, train).sum()


class RandomLoss(MMD):  # type: ignore[misc]
    """A loss that draws from torch's own generator."""

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        losses = super().loss(model, rows, noise, train)
        return losses + torch.rand(len(losses))


class DetachedLoss(MMD):  # type: ignore[misc]
    """A loss without gradient."""

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        return super().loss(model, rows, noise, train).detach()


class FailingLoss(MMD):  # type: ignore[misc]
    """A loss that fails, in two lines."""

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        raise RuntimeError("no\nway")


class MixedScore(AndersonDarling):  # type: ignore[misc]
    """A score relative to the mean over the pack."""

    def __call__(self, generated: Array) -> Measure:
        measure = super().__call__(generated)
        return Measure(measure.value / measure.value.mean(), measure.positive)


class ForgetfulProblem(Gaussian1D):  # type: ignore[misc]
    """A problem whose rows don't depend on the seed."""

    def rows(self, seed: int) -> Rows:
        return super().rows(0)


class SharingProblem(Gaussian1D):  # type: ignore[misc]
    """A problem that validates on training rows."""

    def rows(self, seed: int) -> Rows:
        rows = super().rows(seed)
        return Rows(rows.train, rows.train[:100], rows.test)


class Flags(Gaussian1D):  # type: ignore[misc]
    """Zeros and ones."""

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        return super().draw(count, generator).clip(0, 1).round()


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (lambda: check_model(MixedModel, *NETWORKS), "MixedModel: samples are rows that vary: samples of network 0"),
        (lambda: check_model(Pushforward, {"width": 5}), "Pushforward: arguments vary: no variant changes width"),
        (lambda: check_model(Pushforward, *NETWORKS, objective=ELBO), "Pushforward with ELBO: alone equals in company"),
        (lambda: check_loss(MixedLoss, *KERNELS), "MixedLoss with Pushforward: alone equals in company: losses of"),
        (lambda: check_loss(ReducedLoss, *KERNELS), "ReducedLoss with Pushforward: alone equals in company: "),
        (lambda: check_loss(RandomLoss, *KERNELS), "RandomLoss with Pushforward: alone equals in company: losses of"),
        (lambda: check_loss(DetachedLoss, *KERNELS), "the loss depends on no parameter"),
        (lambda: check_loss(FailingLoss, *KERNELS), "alone equals in company: RuntimeError: no way"),
        (lambda: check_loss(MMD, {"bandwidth": 2.0}, {}), "MMD: arguments vary: no variant changes kernel"),
        (lambda: check_score(MixedScore), "MixedScore: a pack scores as its members alone: sample 0 scores 1.0 alone"),
        (lambda: check_problem(ForgetfulProblem), "another seed gives the same rows"),
        (lambda: check_problem(SharingProblem), "train and validation share rows"),
    ],
)
def test_what_is_broken_is_told_in_one_line(check: Callable[[], None], expected: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(expected)) as error:
        check()
    assert "\n" not in str(error.value)


def test_what_is_right_passes() -> None:
    check_model(Pushforward, *NETWORKS)
    check_loss(MMD, *KERNELS)
    check_loss(OBJECTIVES["energy"], model=Pushforward)
    check_score(SCORES["ad"])
    check_problem(PROBLEMS["mixture_3d"], components=3)


def test_values_that_come_twice_are_right_where_they_are_said_to() -> None:
    with pytest.raises(AssertionError, match="share rows"):
        check_problem(Flags, mean=0.5)
    check_problem(Flags, mean=0.5, continuous=False)
