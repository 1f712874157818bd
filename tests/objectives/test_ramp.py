"""The strength of a penalty over training: curves by hand, forecasts by an independent loop, packs and restarts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from models.pack import join, keep
from objectives.losses.ramp import BOUND, FACTOR, Ramp


def curve(ramp: Ramp, penalties: Sequence[float]) -> list[float]:
    """Strength at each step of training on these penalties."""
    return [(ramp.weigh(torch.tensor([penalty]), True) / penalty).item() for penalty in penalties]


def periods(means: Sequence[float], steps: int) -> list[float]:
    """Penalties of `steps` steps a period, that differ within it and have these means."""
    return [mean * share for mean in means for share in np.linspace(0.5, 1.5, steps)]


def slow_factors(means: Sequence[float]) -> list[float]:
    """Factor in each period after the last, by the forecast itself."""
    deviations, factors = [], [1.0]
    for count, latest in enumerate(means, start=1):
        mean = float(np.mean(means[:count]))
        deviations.append(latest - mean)
        factor = factors[-1]
        if count > 2:
            before, after = np.array(deviations[:-1]), np.array(deviations[1:])
            forecast = mean + before @ after / (before @ before) * deviations[-1]
            factor *= FACTOR if forecast > mean else 1 / FACTOR
        factors.append(float(np.clip(factor, 1 / BOUND, BOUND)))
    return factors


def test_constant_stays() -> None:
    assert curve(Ramp("lam", 0.3, "constant", 2), [1, 2, 3, 4, 5]) == pytest.approx([0.3] * 5)


def test_warm_up_is_a_line_to_its_strength() -> None:
    assert curve(Ramp("lam", 2.0, "warm_up", 4), [1, 5, 0.1, 3, 7, 1]) == pytest.approx([0.5, 1, 1.5, 2, 2, 2])
    assert Ramp("lam", 2.0, "warm_up", 4).strength().item() == 0


@pytest.mark.parametrize(
    ("means", "rises"),
    [
        ([1, 2, 3, 4, 5], [0, 0, 1, 1, 1]),
        ([9, 6, 4, 3, 2], [0, 0, -1, -1, -1]),
        ([1, 2, 1, 2, 1], [0, 0, 1, -1, 1]),  # negative correlation: what is low now will be high next
    ],
)
@pytest.mark.parametrize("steps", [1, 3])
def test_adaptive_by_hand(means: list[float], rises: list[int], steps: int) -> None:
    found = curve(Ramp("lam", 0.5, "adaptive", steps), periods([*means, 1.0], steps))
    expected = 0.5 * FACTOR ** np.cumsum([0, *rises])
    assert found == pytest.approx(np.repeat(expected, steps).tolist(), rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_adaptive_equals_the_forecast_written_out(seed: int) -> None:
    means = np.random.default_rng(seed).uniform(0.5, 1.5, 25).tolist()
    factors = slow_factors(means)
    assert len(set(np.round(factors, 4))) > 3
    found = curve(Ramp("lam", 2.0, "adaptive", 3), periods([*means, 1.0], 3))
    assert found[::3] == pytest.approx([2 * factor for factor in factors], rel=1e-4)


def test_adaptive_stays_within_its_bounds() -> None:
    rising, falling = [list(range(1, 40)), list(range(40, 1, -1))]
    assert curve(Ramp("lam", 3.0, "adaptive", 1), rising)[-1] == pytest.approx(3 * BOUND)
    assert curve(Ramp("lam", 3.0, "adaptive", 1), falling)[-1] == pytest.approx(3 / BOUND)


def test_evaluation_changes_nothing() -> None:
    for mode in ("constant", "warm_up", "adaptive"):
        ramp = Ramp("lam", 2.0, mode, 2)
        curve(ramp, [1, 2, 3])
        state = {name: value.clone() for name, value in ramp.state_dict().items()}
        for _ in range(3):
            assert (ramp.weigh(torch.tensor([7.0]), False) / 7).item() == pytest.approx(ramp.strength().item())
        assert all(torch.equal(value, state[name]) for name, value in ramp.state_dict().items())


def test_the_penalty_alone_carries_the_gradient() -> None:
    for mode in ("constant", "warm_up", "adaptive"):
        ramp, penalty = Ramp("lam", 2.0, mode, 1), torch.tensor([3.0], requires_grad=True)
        for _ in range(4):
            (gradient,) = torch.autograd.grad(ramp.weigh(penalty, True).sum(), [penalty])
        assert gradient.item() == pytest.approx(ramp.strength().item())


def test_a_pack_of_all_modes_equals_each_alone() -> None:
    def singles() -> list[Ramp]:
        modes = [("constant", 3), ("warm_up", 5), ("adaptive", 1), ("adaptive", 2), ("warm_up", 2)]
        return [Ramp("lam", 1.0 + number, mode, steps) for number, (mode, steps) in enumerate(modes)]  # type: ignore[arg-type]

    penalties = torch.rand(12, 5, generator=torch.Generator().manual_seed(0)) + 0.5
    pack, alone = join(singles()), singles()
    found = torch.stack([pack.weigh(row, True) for row in penalties])
    for trial, ramp in enumerate(alone):
        expected = [ramp.weigh(row[[trial]], True) for row in penalties]
        assert torch.equal(found[:, [trial]], torch.stack(expected))
        for name, value in keep(pack, [trial]).state_dict().items():
            assert torch.equal(value, ramp.state_dict()[name]), name


@pytest.mark.parametrize("mode", ["warm_up", "adaptive"])
def test_goes_on_from_where_it_was_stored(mode: Any) -> None:
    penalties = periods([1, 2, 1.5, 3, 2, 4], 3)
    whole = curve(Ramp("lam", 2.0, mode, 3), penalties)
    first, again = Ramp("lam", 2.0, mode, 3), Ramp("lam", 2.0, mode, 3)
    curve(first, penalties[:11])
    again.load_state_dict(first.state_dict())
    assert curve(again, penalties[11:]) == whole[11:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lam", -1.0, "constant", 5), "lam must be at least 0, got -1.0"),
        (("beta", float("nan"), "constant", 5), "beta must be at least 0, got nan"),
        (("lam", 1.0, "linear", 5), "ramp must be one of constant, warm_up, adaptive, got 'linear'"),
        (("lam", 1.0, "warm_up", 0), "ramp_steps must be at least 1, got 0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ramp(*arguments)
