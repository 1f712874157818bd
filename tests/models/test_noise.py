"""Random numbers of a pack: each slice is a function of its own seed, key and width alone."""

import pytest
import torch
from torch import Tensor

from models.noise import BLOCK, Noise, hashed_seed

KINDS = pytest.mark.parametrize("kind", ["normal", "uniform"])


def draw(noise: Noise, kind: str, key: str, widths: list[int]) -> Tensor:
    return noise.normal(key, widths) if kind == "normal" else noise.uniform(key, widths)


@KINDS
@pytest.mark.parametrize("rows", [1, 5, BLOCK // 2 + 1, BLOCK // 2 - 9, BLOCK + 3])
def test_a_slice_depends_on_its_own_seed_alone(kind: str, rows: int) -> None:
    company, alone = Noise([3, 5, 7], rows), Noise([5], rows)
    for _ in range(4):
        assert torch.equal(draw(company, kind, "a", [2, 4, 6])[1, :, :4], draw(alone, kind, "a", [4])[0])


@KINDS
def test_columns_beyond_a_trials_width_are_zero(kind: str) -> None:
    x = draw(Noise([1, 2, 3], 50), kind, "a", [2, 5, 0])
    assert x.shape == (3, 50, 5)
    assert (x[0, :, :2] != 0).all()
    assert (x[0, :, 2:] == 0).all()
    assert (x[1] != 0).all()
    assert (x[2] == 0).all()


@KINDS
def test_a_stream_goes_on_and_never_repeats(kind: str) -> None:
    noise = Noise([1], BLOCK // 3)
    draws = [draw(noise, kind, "a", [1]) for _ in range(8)]
    assert len(torch.cat(draws, 1).flatten().double().unique()) > 0.99 * 8 * (BLOCK // 3)


def test_streams_of_different_keys_and_seeds_are_independent() -> None:
    rows = 20000
    noise = Noise([1, 2], rows)
    a, b = noise.normal("a", [1, 1]), noise.normal("b", [1, 1])
    streams = torch.cat([a, b])[..., 0]
    correlations = torch.corrcoef(streams) - torch.eye(4)
    assert correlations.abs().max() < 5 / rows**0.5


def test_one_stream_does_not_shift_another() -> None:
    interleaved, plain = Noise([1], 4000), Noise([1], 4000)
    for _ in range(5):
        interleaved.uniform("b", [7])
        interleaved.dropout("c", [3], [0.5])
        assert torch.equal(interleaved.normal("a", [2]), plain.normal("a", [2]))


def test_moments() -> None:
    n = 40000
    normal, uniform = Noise([1], n).normal("a", [1]).double(), Noise([1], n).uniform("a", [1]).double()
    assert normal.mean().abs() < 5 / n**0.5
    assert normal.var().item() == pytest.approx(1, abs=5 * (2 / n) ** 0.5)
    assert normal.pow(4).mean().item() == pytest.approx(3, abs=5 * (96 / n) ** 0.5)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=5 * (1 / 12 / n) ** 0.5)
    assert uniform.var().item() == pytest.approx(1 / 12, rel=0.03)


def test_dropout_multipliers() -> None:
    rates, rows = [0.0, 0.2, 0.7], 20000
    kept = Noise([1, 2, 3], rows).dropout("a", [2, 2, 1], rates)
    assert kept is not None
    assert (kept[0] == 1).all()
    for trial, width in [(1, 2), (2, 1)]:
        own = kept[trial, :, :width]
        share = (own == 0).double().mean().item()
        assert share == pytest.approx(rates[trial], abs=5 * (0.25 / own.numel()) ** 0.5)
        torch.testing.assert_close(own[own != 0], torch.full_like(own[own != 0], 1 / (1 - rates[trial])))
        assert own.double().mean().item() == pytest.approx(1, abs=0.06)


def test_no_dropout_draws_nothing() -> None:
    assert Noise([1, 2], 5).dropout("a", [3, 3], [0.0, 0.0]) is None


def test_hashed_seeds_differ_and_fit_a_generator() -> None:
    seeds = {hashed_seed(a, b) for a in range(50) for b in [*range(50), "order", "1"]}
    assert len(seeds) == 50 * 52
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert hashed_seed(1, 23) != hashed_seed(12, 3)
    torch.Generator().manual_seed(max(seeds))


def test_hashed_seeds_are_the_same_in_every_process() -> None:
    # Python's own hash of a string changes with the process, and a restarted trial must go on with the same numbers.
    assert hashed_seed(1, "order") == 4175385683698086995
