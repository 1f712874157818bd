"""Flow matching: its solvers on fields of known flow, ragged steps, and a short training."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from models import FlowMatching, Noise, Shape
from models.pack import join
from objectives.losses import FlowMatching as Matching
from search.study.configuration import Training
from search.train.pack import Pack

SHAPE = Shape(features=2, source="uniform", source_features=1)


class Field(nn.Module):
    """A velocity in closed form."""

    def __init__(self, velocity: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, x: Tensor, time: Tensor, noise: Any = None) -> Tensor:
        return self.velocity(x, time)


def carried(velocity: Callable[[Tensor, Tensor], Tensor], *arguments: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Start and end `[pack, rows, features]` of the flow."""
    model = join([FlowMatching(SHAPE, trial, **own) for trial, own in enumerate(arguments)])
    model.network = Field(velocity)  # type: ignore[assignment]
    seeds, pack = list(range(len(arguments))), len(arguments)
    start = Noise(seeds, 500).normal("start", [2] * pack).double()
    return start, model.sample(Noise(seeds, 500)).double()


def test_growth_is_the_solvers_own_polynomial() -> None:
    settings: list[dict[str, Any]] = [
        {"steps": 5, "solver": "euler"},
        {"steps": 3, "solver": "rk4"},
        {"steps": 8, "solver": "euler"},
    ]
    start, end = carried(lambda x, time: x, *settings)
    taylor = [1 + 1 / 5, sum((1 / 3) ** k / math.factorial(k) for k in range(5)), 1 + 1 / 8]
    for trial, (factor, own) in enumerate(zip(taylor, settings, strict=True)):
        torch.testing.assert_close(end[trial], start[trial] * factor ** own["steps"], rtol=1e-5, atol=1e-6)


def test_a_field_of_time_alone_is_summed_from_the_left_or_by_simpsons_rule() -> None:
    settings = [{"steps": 10, "solver": "euler"}, {"steps": 3, "solver": "rk4"}]
    start, end = carried(lambda x, time: (4 * time**3).expand_as(x), *settings)
    assert (end - start)[0].numpy() == pytest.approx(0.9**2, rel=1e-5)
    assert (end - start)[1].numpy() == pytest.approx(1.0, rel=1e-5)  # exact for a cubic


def test_exact_field_of_normal_data_carries_noise_to_it() -> None:
    mean, deviation = 0.7, 0.3

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        spread = (1 - time) ** 2 + (time * deviation) ** 2
        return mean + (time * deviation**2 - (1 - time)) / spread * (x - time * mean)

    orders = {}
    for solver, steps in (("euler", 40), ("rk4", 8)):
        settings = [{"steps": steps * factor, "solver": solver} for factor in (1, 2)]
        start, end = carried(velocity, *settings)
        coarse, fine = (end - mean - deviation * start).square().mean((1, 2)).sqrt().tolist()
        orders[solver] = math.log2(coarse / fine)
        assert fine < 0.02
    assert orders["euler"] == pytest.approx(1, abs=0.2)
    assert orders["rk4"] == pytest.approx(4, abs=0.6)


def test_training_finds_both_ends_of_a_line() -> None:
    generator = torch.Generator().manual_seed(0)
    chosen = (torch.rand(1000, generator=generator) < 0.7).float() * 2 - 1
    x = (chosen + 0.1 * torch.randn(1000, generator=generator)).view(1, -1, 1)
    model = FlowMatching(Shape(1, "normal", 1), 0, width=32, depth=2)
    trainer = Pack(
        model, Matching(x[0], 0), x, [Training(learning_rate=1e-2, schedule="cosine")], seeds=[1], budget=200
    )

    def drawn() -> np.ndarray:
        with torch.no_grad():
            return trainer.averaged.sample(Noise([3], 4000))[0, :, 0].numpy()

    truth = x.flatten().numpy()
    untrained = stats.wasserstein_distance(drawn(), truth)
    for _ in range(200):
        trainer.advance()
    rows = drawn()
    assert stats.wasserstein_distance(rows, truth) < min(0.1, untrained / 5)
    assert (rows > 0).mean() == pytest.approx((truth > 0).mean(), abs=0.05)
    assert (abs(rows) < 0.5).mean() < 0.05


def test_dropout_is_for_training_only() -> None:
    model, x, time = FlowMatching(SHAPE, 0, dropout=0.5), torch.ones(1, 8, 2), torch.full((1, 8, 1), 0.5)
    assert torch.equal(model.velocity(x, time), model.velocity(x, time))
    assert not torch.equal(model.velocity(x, time, Noise([1], 8)), model.velocity(x, time))


def test_rows_of_one_time_may_share_its_column() -> None:
    model, x = FlowMatching(SHAPE, 0), torch.randn(1, 8, 2, generator=torch.Generator().manual_seed(0))
    shared = model.velocity(x, torch.full((1, 1, 1), 0.3))
    torch.testing.assert_close(shared, model.velocity(x, torch.full((1, 8, 1), 0.3)))
    assert (shared - model.velocity(x, torch.full((1, 1, 1), 0.4))).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"solver": "heun"}, "solver must be one of euler, rk4, got 'heun'"),
        ({"depth": 0}, "width and depth must be at least 1, got width 64 and depth 0"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlowMatching(SHAPE, 0, **arguments)
