"""The chained pushforward: which column depends on what, and refused arguments."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from models import Chained, Noise, Shape
from models.layers import MLP
from models.pack import join


def chained(seed: int = 0, features: int = 3, source: Any = "uniform", **arguments: Any) -> Chained:
    return Chained(Shape(features=features, source=source, source_features=1), seed, **{"width": 6, **arguments})


def sequential(network: Any) -> nn.Sequential:
    """torch's own network of two hidden tanh layers, with the weights of a pack of one."""
    parts: list[nn.Module] = []
    for layer in [*network.hidden, network.output]:
        linear = nn.Linear(*layer.weight.shape[1:])
        with torch.no_grad():
            linear.weight.copy_(layer.weight[0].T)
            linear.bias.copy_(layer.bias[0, 0])
        parts += [linear, nn.Tanh()]
    return nn.Sequential(*parts[:-1])


def test_each_network_is_fed_what_the_one_before_it_gave() -> None:
    model = chained(noise=2)
    inputs = model.draw(Noise([1], 9))
    columns: list[Tensor] = [inputs[0]]
    for network in model.networks:
        columns.append(sequential(network)(columns[-1]))
    assert [column.shape[1] for column in columns] == [3, 1, 1, 1]
    torch.testing.assert_close(model.push(inputs)[0], torch.cat(columns[1:], dim=1))


def test_a_column_depends_on_the_one_before_it_alone() -> None:
    model, inputs = chained(), torch.rand(1, 7, 1, generator=torch.Generator().manual_seed(3))
    rows = model.push(inputs)
    with torch.no_grad():
        cast(MLP, model.networks[1]).output.bias.add_(1)
    moved = model.push(inputs)
    assert torch.equal(moved[..., 0], rows[..., 0])
    torch.testing.assert_close(moved[..., 1], rows[..., 1] + 1)
    torch.testing.assert_close(moved[..., 2], model.networks[2](moved[..., 1:2]).squeeze(2))
    assert not torch.isclose(moved[..., 2], rows[..., 2]).any()


@pytest.mark.parametrize("column", [0, 1, 2])
def test_gradient_reaches_the_networks_up_to_its_column(column: int) -> None:
    model = chained(noise=1)
    loss = model.sample(Noise([2], 8))[..., column].sum()
    for place, network in enumerate(model.networks):
        gradients = torch.autograd.grad(
            loss, list(network.parameters()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        assert all(bool((gradient != 0).any()) is (place <= column) for gradient in gradients)


def test_columns_are_initialised_apart() -> None:
    first, second = (cast(MLP, chained().networks[place]) for place in (1, 2))
    assert not torch.equal(first.output.weight, second.output.weight)


def test_sigmoid_holds_in_every_column() -> None:
    with torch.no_grad():
        model = chained(output="sigmoid", activation="relu", noise=1)
        for parameter in model.parameters():
            parameter.mul_(30)
        rows = model.sample(Noise([1], 200))
    assert rows.min() >= 0
    assert rows.max() <= 1


def test_dropout_is_for_training_only_and_differs_by_network() -> None:
    model, inputs = chained(dropout=0.5, width=50, depth=1), torch.ones(1, 40, 1)
    assert torch.equal(model.push(inputs), model.push(inputs))
    assert not torch.equal(model.push(inputs, Noise([1], 40)), model.push(inputs))
    assert len({network.name for network in model.networks}) == 3


def test_extra_noise_of_a_pack_has_its_own_width() -> None:
    inputs = join([chained(1, noise=0), chained(2, noise=3)]).draw(Noise([1, 2], 50))
    assert inputs.shape == (2, 50, 4)
    assert (inputs[0, :, 1:] == 0).all()
    assert (inputs[1] != 0).all()
    assert inputs[..., :1].min() >= 0


def test_facts() -> None:
    (architecture,) = chained(width=4, depth=1, noise=1).architecture()
    assert architecture == {"parameters": (2 + 1) * 4 + 5 + 2 * (2 * 4 + 5)}


def test_one_column_is_one_network() -> None:
    assert chained(features=1).sample(Noise([1], 5)).shape == (1, 5, 1)
    assert len(chained(features=1).networks) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": -1}, "noise must be at least 0, got -1"),
        ({"width": 0}, "width and depth must be at least 1, got width 0 and depth 2"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chained(**arguments)
