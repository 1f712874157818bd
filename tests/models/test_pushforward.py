"""The pushforward: its source, its extra noise, and refused arguments."""

from typing import Any

import pytest
import torch

from models import Noise, Pushforward, Shape
from models.pack import join


def pushforward(source: Any = "normal", columns: int = 2, **arguments: Any) -> Pushforward:
    return Pushforward(Shape(features=3, source=source, source_features=columns), 0, **{"width": 6, **arguments})


def test_draws_from_a_normal_source() -> None:
    inputs = pushforward("normal").draw(Noise([1], 20000))
    assert inputs.shape == (1, 20000, 2)
    assert inputs.mean().abs() < 5 / 40000**0.5
    assert inputs.std().item() == pytest.approx(1, abs=5 / 80000**0.5)
    assert inputs.min() < -3


def test_draws_from_a_uniform_source() -> None:
    inputs = pushforward("uniform").draw(Noise([1], 20000))
    assert inputs.min() >= 0
    assert inputs.max() < 1
    assert inputs.mean().item() == pytest.approx(0.5, abs=5 / (12 * 40000) ** 0.5)


def test_extra_noise_stands_beside_the_source() -> None:
    pack = join([pushforward("uniform", noise=0), pushforward("uniform", noise=3), pushforward("uniform", noise=1)])
    inputs = pack.draw(Noise([1, 2, 3], 5000))
    assert inputs.shape == (3, 5000, 2 + 3)
    assert inputs[..., :2].min() >= 0
    assert (inputs[0, :, 2:] == 0).all()
    assert (inputs[1] != 0).all()
    assert inputs[1, :, 2:].std().item() == pytest.approx(1, abs=0.05)
    assert (inputs[2, :, 3:] == 0).all()


def test_noise_leaves_the_source_as_it_was() -> None:
    without, beside = pushforward(noise=0).draw(Noise([4], 30)), pushforward(noise=2).draw(Noise([4], 30))
    assert torch.equal(without, beside[..., :2])


def test_samples_are_pushed_draws() -> None:
    model = pushforward(noise=1, dropout=0.4)
    assert torch.equal(model.sample(Noise([5], 12)), model.push(model.draw(Noise([5], 12))))


def test_dropout_is_for_training_only() -> None:
    model, inputs = pushforward(dropout=0.5, width=50), torch.ones(1, 8, 2)
    assert torch.equal(model.push(inputs), model.push(inputs))
    assert not torch.equal(model.push(inputs, Noise([1], 8)), model.push(inputs))


def test_facts() -> None:
    (architecture,) = pushforward(width=4, depth=1, noise=1).architecture()
    assert architecture == {"parameters": (3 + 1) * 4 + (4 + 1) * 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": -1}, "noise must be at least 0, got -1"),
        ({"width": 0}, "width and depth must be at least 1, got width 0 and depth 2"),
        ({"depth": 0}, "width and depth must be at least 1, got width 6 and depth 0"),
        ({"activation": "swish"}, "activation must be one of .*, got 'swish'"),
        ({"output": "softmax"}, "output must be one of linear, sigmoid, got 'softmax'"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pushforward(**arguments)
