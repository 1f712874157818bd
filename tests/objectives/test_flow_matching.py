"""Flow matching: its closed form at the best field of normal data, and the pairing of noise and rows."""

import math
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import Noise
from objectives.losses import FlowMatching
from objectives.losses.flow_matching import optimal_order

N = 40000


class Linear(nn.Module):
    """Velocity c(t) x, which `best` or `optimal` make that of normal data; it notes what it is shown."""

    def __init__(self, deviation: float, pairing: str) -> None:
        super().__init__()
        self.deviation, self.pairing = deviation, pairing
        self.shown: list[tuple[Tensor, Tensor]] = []

    def velocity(self, x: Tensor, time: Tensor, noise: Any = None) -> Tensor:
        self.shown.append((x, time))
        if self.pairing == "optimal":  # x = deviation z: each path is straight and none crosses another
            return (self.deviation - 1) / (1 - time + time * self.deviation) * x
        spread = (1 - time) ** 2 + (time * self.deviation) ** 2
        return (time * self.deviation**2 - (1 - time)) / spread * x


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.0])
def test_loss_of_the_best_field_is_what_crossing_paths_leave(deviation: float) -> None:
    loss = FlowMatching(torch.zeros(1, 2), 0).loss(
        Linear(deviation, "independent"), deviation * normal(1, N, 2), Noise([1], N)
    )
    # Var(x - z | x_t) = s^2 / ((1 - t)^2 + t^2 s^2) a column, whose integral over t is s pi / 2.
    assert loss.shape == (1,)
    assert loss.item() == pytest.approx(2 * deviation * math.pi / 2, rel=0.03)


def test_rows_shown_lie_between_noise_and_data() -> None:
    model = Linear(1.0, "independent")
    FlowMatching(torch.zeros(1, 2), 0).loss(model, 0.5 * normal(1, N, 2) + 3, Noise([1], N))
    ((x, time),) = model.shown
    assert time.mean().item() == pytest.approx(0.5, abs=0.01)
    for low in (0.0, 0.45, 0.95):
        rows = x[((time >= low) & (time < low + 0.05)).expand_as(x)]
        middle = low + 0.025
        assert rows.mean().item() == pytest.approx(3 * middle, abs=0.06)
        assert rows.var().item() == pytest.approx((1 - middle) ** 2 + 0.25 * middle**2, rel=0.1)


def test_optimal_order_is_the_best_of_all_permutations() -> None:
    for seed in range(5):
        start, rows = normal(6, 3, seed=seed), normal(6, 3, seed=100 + seed) * 2 + 1
        order = optimal_order(start, rows)
        assert sorted(order.tolist()) == list(range(6))
        costs = [(rows - start[list(chosen)]).square().sum().item() for chosen in permutations(range(6))]
        found = (rows - start[order]).square().sum().item()
        assert found == pytest.approx(min(costs), rel=1e-5)
        assert found <= (rows - start).square().sum().item()


def test_optimal_order_on_a_line_is_the_sorted_one() -> None:
    start, rows = normal(200, 1, seed=1), normal(200, 1, seed=2).exp()
    assert torch.equal(start[optimal_order(start, rows)][rows.argsort(0)[:, 0]], start.sort(0).values)


def test_optimal_pairs_hardly_cross() -> None:
    x, n = 0.4 * normal(1, 1000, 1), 1000
    losses = {}
    for pairing in ("independent", "optimal"):
        objective = FlowMatching(x[0], 0, pairing=pairing)
        losses[pairing] = objective.loss(Linear(0.4, pairing), x, Noise([1], n)).item()
    assert losses["independent"] == pytest.approx(0.4 * math.pi / 2, rel=0.1)
    assert losses["optimal"] < 0.02


def test_pairing_leaves_noise_and_rows_as_they_are() -> None:
    class Start(nn.Module):
        def velocity(self, x: Tensor, time: Tensor, noise: Any = None) -> Tensor:
            self.start = (x - time * rows) / (1 - time)
            return torch.zeros_like(x)

    rows, model = normal(2, 50, 2, seed=3), Start()
    rows[1] = rows[0]
    pack: Any = FlowMatching(rows[0], 0, pairing="optimal")
    pack.pairing = ("optimal", "independent")
    losses = pack.loss(model, rows, Noise([4, 4], 50))
    drawn = Noise([4], 50).normal("start", [2])[0]
    torch.testing.assert_close(model.start[1], drawn, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.start[0].sort(0).values, drawn.sort(0).values, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(losses[1], (rows[0] - drawn).square().sum(1).mean())
    assert losses[0] < losses[1] / 2


def test_refuses_an_unknown_pairing() -> None:
    with pytest.raises(ValueError, match="pairing must be one of independent, optimal, got 'nearest'"):
        FlowMatching(torch.zeros(1, 2), 0, pairing="nearest")  # type: ignore[arg-type]
