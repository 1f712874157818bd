"""The stochastic pushforward: its two heads, its draws, and refused arguments."""

import math
from typing import Any

import pytest
import torch

from models import Noise, Shape, Stochastic
from models.pack import join


def stochastic(seed: int = 0, source: Any = "uniform", **arguments: Any) -> Stochastic:
    return Stochastic(Shape(features=2, source=source, source_features=1), seed, **{"width": 6, **arguments})


def constant(mean: list[float], log_variance: list[float], **arguments: Any) -> Stochastic:
    """A model whose heads don't depend on the source."""
    model = stochastic(**arguments)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.network.output.bias[0, 0] = torch.tensor(mean + log_variance)
    return model


def test_zero_weights_give_standard_normal_rows() -> None:
    rows = constant([0, 0], [0, 0]).sample(Noise([1], 4000))[0]
    assert torch.equal(rows, Noise([1], 4000).normal("eps", [2])[0])


def test_heads_are_mean_and_log_variance() -> None:
    n = 40000
    with torch.no_grad():
        rows = constant([3.0, -1.0], [math.log(4.0), math.log(0.01)], noise=1).sample(Noise([2], n))[0].double()
    for column, (mean, deviation) in enumerate([(3.0, 2.0), (-1.0, 0.1)]):
        assert rows[:, column].mean().item() == pytest.approx(mean, abs=5 * deviation / n**0.5)
        assert rows[:, column].std().item() == pytest.approx(deviation, rel=5 / (2 * n) ** 0.5)
    assert torch.corrcoef(rows.T)[0, 1].abs() < 5 / n**0.5


def test_gradient_of_the_heads() -> None:
    model = constant([0.5, -0.2], [0.3, -1.0])
    inputs = model.draw(Noise([3], 50))
    (gradient,) = torch.autograd.grad(model.push(inputs).square().sum(), [model.network.output.bias])
    eps = inputs[0, :, :2]
    deviation = torch.tensor([0.15, -0.5]).exp()
    x = torch.tensor([0.5, -0.2]) + deviation * eps
    expected = torch.cat([(2 * x).sum(0), (x * deviation * eps).sum(0)])
    torch.testing.assert_close(gradient[0, 0], expected)


def test_draws_stand_side_by_side() -> None:
    pack = join([stochastic(1, noise=0), stochastic(2, noise=2)])
    inputs, noise = pack.draw(Noise([4, 5], 30)), Noise([4, 5], 30)
    assert inputs.shape == (2, 30, 2 + 1 + 2)
    assert torch.equal(inputs[..., :2], noise.normal("eps", [2, 2]))
    assert torch.equal(inputs[..., 2:3], noise.uniform("source", [1, 1]))
    assert torch.equal(inputs[..., 3:], noise.normal("noise", [0, 2]))


def test_eps_moves_rows_and_nothing_else() -> None:
    model = stochastic()
    inputs = model.draw(Noise([6], 20))
    still = inputs.clone()
    still[..., :2] = 0
    mean, log_variance = model.network(inputs[..., 2:]).chunk(2, dim=2)
    torch.testing.assert_close(model.push(still), mean)
    torch.testing.assert_close(model.push(inputs) - mean, (log_variance / 2).exp() * inputs[..., :2])


def test_taper_narrows_the_hidden_layers() -> None:
    model = stochastic(width=128, depth=2, taper=0.5)
    assert model.network.widths == ((128, 64),)
    assert model.architecture() == [{"parameters": (1 + 1) * 128 + (128 + 1) * 64 + (64 + 1) * 4}]


def test_dropout_is_for_training_only() -> None:
    model = stochastic(dropout=0.5, width=50)
    inputs = model.draw(Noise([1], 8))
    assert torch.equal(model.push(inputs), model.push(inputs))
    assert not torch.equal(model.push(inputs, Noise([1], 8)), model.push(inputs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": -1}, "noise must be at least 0, got -1"),
        ({"depth": 0}, "width and depth must be at least 1, got width 6 and depth 0"),
        ({"taper": 0.0}, "taper must be above 0 and at most 1, got 0.0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stochastic(**arguments)
