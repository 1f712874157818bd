"""Stacked perceptrons against torch's own layers, dropout, and refused arguments."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from models.layers import ACTIVATIONS, MLP, Layer
from models.noise import Noise
from models.optimizers import OPTIMIZERS, Flat, shrink, soften
from models.pack import join, keep

MODULES = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
}


def mlp(seed: int = 0, **changes: Any) -> MLP:
    arguments: dict[str, Any] = {"width": 6, "depth": 2, "activation": "tanh", "dropout": 0.0, "output": "linear"}
    generator = torch.Generator().manual_seed(seed)
    return MLP(3, 2, **{**arguments, **changes}, generator=generator, name="net")


def sequential(network: MLP) -> nn.Sequential:
    """torch's own network with the weights of a pack of one."""
    parts: list[nn.Module] = []
    for layer in [*network.hidden, network.output]:
        inputs, outputs = layer.weight.shape[1:]
        linear = nn.Linear(inputs, outputs)
        with torch.no_grad():
            linear.weight.copy_(layer.weight[0].T)
            linear.bias.copy_(layer.bias[0, 0])
        parts += [linear, MODULES[network.activation[0]]()]
    parts[-1] = nn.Sigmoid() if network.squashed[0] else nn.Identity()
    return nn.Sequential(*parts)


def batch(pack: int) -> Tensor:
    return torch.randn(pack, 7, 3, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_equals_torch_sequential(activation: str, output: str) -> None:
    network, x = mlp(activation=activation, output=output, depth=3), batch(1)
    torch.testing.assert_close(network(x)[0], sequential(network)(x[0]))


def test_ragged_pack_equals_torch_sequentials() -> None:
    several = [
        mlp(1, width=4, depth=1, activation="sigmoid"),
        mlp(2, width=9, depth=3, activation="elu", output="sigmoid"),
        mlp(3, width=1, depth=4, activation="relu"),
        mlp(4, width=6, depth=2, activation="elu"),
    ]
    pack, x = join(several), batch(4)
    assert pack.output.weight.shape == (4, 9, 2)
    assert len(pack.hidden) == 4
    for trial, y in enumerate(pack(x)):
        torch.testing.assert_close(y, sequential(several[trial])(x[trial]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_depths_differ_where_widths_agree(activation: str) -> None:
    several = [mlp(trial, depth=depth, activation=activation) for trial, depth in enumerate([1, 3, 2])]
    x = batch(3)
    for trial, y in enumerate(join(several)(x)):
        torch.testing.assert_close(y, sequential(several[trial])(x[trial]))


def test_tapered_networks_narrow_beside_those_that_end_early() -> None:
    several = [mlp(1, width=8, depth=4, taper=0.5), mlp(2, width=7, depth=1), mlp(3, width=5, depth=3, taper=0.7)]
    assert several[0].widths == ((8, 4, 2, 1),)
    assert several[2].widths == ((5, 4, 2),)
    pack, x = join(several), batch(3)
    for trial, y in enumerate(pack(x)):
        torch.testing.assert_close(y, sequential(several[trial])(x[trial]))


def test_padding_cannot_leak_through_the_activation() -> None:
    pack = join([mlp(1, width=2, depth=1, activation="sigmoid"), mlp(2, width=5, depth=3, activation="sigmoid")])
    x = batch(2)
    expected = pack(x)
    with torch.no_grad():
        pack.output.weight[0, 2:] = 1e6
    assert torch.equal(pack(x), expected)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_padding_stays_zero_while_trained(activation: str, optimizer: str) -> None:
    several = [
        mlp(1, width=3, depth=2, activation=activation),
        mlp(2, width=6, depth=1, activation=activation),
        mlp(3, width=5, depth=4, activation=activation, taper=0.7),
    ]
    x, rates = batch(3), torch.tensor([[0.02], [0.01], [0.005]])

    def train(network: MLP, trials: slice) -> None:
        flat, rule = Flat(network, len(network.widths)), OPTIMIZERS[optimizer]
        moments = [torch.zeros_like(flat.values) for _ in range(rule.moments)]
        for step in range(1, 20):
            gradient = flat.gradient((network(x[trials]) - 1).square().mean((1, 2)))
            with torch.no_grad():
                shrink(flat.values, 0.1 * rates[trials] * flat.is_weight)
                rule.update(flat.values, gradient, moments, torch.full_like(rates[trials], step), rates[trials])
                soften(flat.values, 0.01 * rates[trials] * flat.is_weight)

    pack = join(several)
    train(pack, slice(None))
    for trial, single in enumerate(several):
        train(single, slice(trial, trial + 1))
        cropped, own = dict(keep(pack, [trial]).named_parameters()), dict(single.named_parameters())
        for name, value in pack.named_parameters():
            whole = value[trial].detach()
            if name in own:
                torch.testing.assert_close(cropped[name], own[name], rtol=1e-4, atol=1e-5)
                assert whole.count_nonzero() <= own[name].numel()
                assert whole.abs().sum().item() == pytest.approx(own[name].abs().sum().item(), rel=1e-4)
            else:
                assert (whole == 0).all()


def test_activations_of_a_pack_may_alternate() -> None:
    names = ["relu", "tanh", "tanh", "relu", "sigmoid", "elu", "elu"]
    several = [mlp(trial, activation=name) for trial, name in enumerate(names)]
    x = batch(7)
    pack = join(several)
    gradient = torch.autograd.grad(pack(x).sum(), cast(Layer, pack.hidden[0]).weight)[0]
    for trial, single in enumerate(several):
        torch.testing.assert_close(pack(x)[trial], sequential(single)(x[trial]))
        own = torch.autograd.grad(single(x[[trial]]).sum(), cast(Layer, single.hidden[0]).weight)[0]
        torch.testing.assert_close(gradient[[trial]], own)


def test_cropping_to_the_widest_that_stays() -> None:
    pack = keep(join([mlp(1, width=4, depth=1), mlp(2, width=9, depth=3), mlp(3, width=6, depth=2)]), [0, 2])
    assert len(pack.hidden) == 2
    assert pack.hidden[0].weight.shape == (2, 3, 6)
    assert pack.hidden[1].weight.shape == (2, 6, 6)
    assert pack.output.weight.shape == (2, 6, 2)


def test_initial_weights_are_distributed_as_torch_linear() -> None:
    network = mlp(width=400, depth=2)
    torch.manual_seed(0)
    linear = nn.Linear(400, 400)
    layer = cast(Layer, network.hidden[1])
    own = layer.weight.detach()
    assert own.abs().max() <= 400**-0.5
    assert own.std().item() == pytest.approx(linear.weight.std().item(), rel=0.02)
    assert layer.bias.std().item() == pytest.approx(linear.bias.std().item(), rel=0.15)
    assert torch.equal(mlp(5).output.weight, mlp(5).output.weight)
    assert not torch.equal(mlp(5).output.weight, mlp(6).output.weight)


def test_sigmoid_outputs_lie_in_the_unit_interval() -> None:
    with torch.no_grad():
        y = join([mlp(1, output="sigmoid", activation="relu"), mlp(2, activation="relu")])(1e3 * batch(2))
    assert y[0].min() >= 0
    assert y[0].max() <= 1
    assert y[1].abs().max() > 1


def test_dropout_drops_its_share_and_scales_the_rest() -> None:
    rates, width = (0.0, 0.25, 0.6), 200
    several = []
    for rate in rates:
        network = MLP(
            1, width, width=width, depth=1, activation="sigmoid", dropout=rate, output="linear",
            generator=torch.Generator().manual_seed(0), name="net",
        )  # fmt: skip
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
            network.output.weight[0] = torch.eye(width)
        several.append(network)
    pack, rows = join(several), 300
    x = torch.ones(3, rows, 1)
    assert (pack(x) == 0.5).all()
    y = pack(x, Noise([1, 2, 3], rows)).detach()
    for rate, shown in zip(rates, y, strict=True):
        dropped = (shown == 0).double().mean().item()
        assert dropped == pytest.approx(rate, abs=0.008)
        torch.testing.assert_close(shown[shown != 0], torch.full_like(shown[shown != 0], 0.5 / (1 - rate)))
    assert not torch.equal(y[1, 0], y[1, 1])


def test_parameter_counts_are_those_of_torch() -> None:
    several = [mlp(width=4, depth=1), mlp(width=9, depth=3)]
    expected = [sum(p.numel() for p in sequential(network).parameters()) for network in several]
    assert join(several).parameter_counts() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width and depth must be at least 1, got width 0 and depth 2"),
        ({"depth": 0}, "width and depth must be at least 1, got width 6 and depth 0"),
        ({"activation": "gelu"}, "activation must be one of relu, .*, got 'gelu'"),
        ({"output": "tanh"}, "output must be one of linear, sigmoid, got 'tanh'"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
        ({"taper": 0.0}, "taper must be above 0 and at most 1, got 0.0"),
        ({"taper": 1.5}, "taper must be above 0 and at most 1, got 1.5"),
        ({"dropout": float("nan")}, "dropout must be at least 0 and below 1, got nan"),
    ],
)
def test_refuses_arguments_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mlp(**changes)
