"""Stacked multilayer perceptrons of ragged width, depth and activation.

Notation: x [pack, batch, inputs], weight [pack, inputs, outputs], bias [pack, 1, outputs]. A narrow network is padded
with zeros to the pack's widest and masked behind each activation; a shallow one passes through the layers it lacks.
Either way it equals the same network built alone, in value and in gradient.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, cast, final, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.noise import Noise
from models.pack import Ragged, resize

Activation = Literal["relu", "leaky_relu", "elu", "tanh", "sigmoid", "silu"]
Output = Literal["linear", "sigmoid"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
}
assert tuple(ACTIVATIONS) == get_args(Activation)


@final
class Layer(nn.Module):
    """Stacked affine map `[pack, batch, inputs] -> [pack, batch, outputs]`, initialised as `torch.nn.Linear` is."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter((torch.rand(1, inputs, outputs, generator=generator) * 2 - 1) * bound)
        self.bias = nn.Parameter((torch.rand(1, 1, outputs, generator=generator) * 2 - 1) * bound)
        self.mask: Tensor
        self.links: Tensor | None
        self.register_buffer("mask", torch.ones(1, 1, outputs), persistent=False)
        self.register_buffer("links", None, persistent=False)

    def link(self, before: Tensor, after: Tensor) -> None:
        """Keep the weights alone that lead to a unit of no lower place: `before` `[inputs]` and `after` `[outputs]`."""
        self.links = (before.unsqueeze(1) <= after).unsqueeze(0).to(self.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Affine map of `x` `[pack, batch, inputs]`."""
        return torch.baddbmm(self.bias, x, self.weight if self.links is None else self.weight * self.links)


@final
class MLP(Ragged):
    """Stacked multilayer perceptron `[pack, batch, inputs] -> [pack, batch, outputs]`.

    Args:
        inputs, outputs: columns in and out.
        width, depth: units of the first hidden layer, and the number of hidden layers (at least 1 each).
        activation: one of `ACTIVATIONS`.
        dropout: share of hidden units dropped in training, in [0, 1).
        output: "linear", or "sigmoid" for outputs in [0, 1].
        generator: source of the initial weights.
        name: key of its dropout stream, unique within the model.
        taper: units of each hidden layer over those of the one before it, in (0, 1].
        order: places of the inputs, where the network is autoregressive: column k of the outputs, whose input is
            k modulo `inputs`, depends on inputs of lower places alone (Germain et al. 2015, MADE).

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: int,
        depth: int,
        activation: Activation,
        dropout: float,
        output: Output,
        generator: torch.Generator,
        name: str,
        taper: float = 1.0,
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if width < 1 or depth < 1:
            raise ValueError(f"width and depth must be at least 1, got width {width} and depth {depth}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        if output not in get_args(Output):
            raise ValueError(f"output must be one of {', '.join(get_args(Output))}, got {output!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        if not 0 < taper <= 1:
            raise ValueError(f"taper must be above 0 and at most 1, got {taper}")
        widths = tuple(max(1, round(width * taper**level)) for level in range(depth))
        sizes = [inputs, *widths]
        self.hidden = nn.ModuleList(Layer(before, after, generator) for before, after in itertools.pairwise(sizes))
        self.output = Layer(widths[-1], outputs, generator)
        if order is not None:
            places = torch.tensor(order)
            before = places
            for layer, units in zip(cast(list[Layer], self.hidden), widths, strict=True):
                after = torch.arange(units) % max(1, inputs - 1)
                layer.link(before, after)
                before = after
            self.output.link(before, places.repeat(outputs // inputs) - 1)
        self.name = name
        self.inputs, self.outputs = (inputs,), (outputs,)
        self.widths = (widths,)
        self.activation, self.dropout = (activation,), (dropout,)
        self.squashed = (output == "sigmoid",)

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Output for `x` `[pack, batch, inputs]`; with `noise`, hidden units are dropped as in training."""
        leaking = "sigmoid" in self.activation and len(set(self.widths)) > 1
        shallowest = min(map(len, self.widths))
        for level, layer in enumerate(cast(list[Layer], self.hidden)):
            y = self._activate(layer(x))
            kept = noise.dropout(f"{self.name}.{level}", self._at(level), self.dropout) if noise is not None else None
            if kept is not None:
                y = y * kept
            # Padded weights and biases are zero, and so is every activation of zero but the sigmoid.
            if leaking or level >= shallowest:
                y = y * layer.mask
            if level >= shallowest:
                y = y + x[..., : y.shape[2]] * (1 - layer.mask[..., :1])
            x = y
        y = self.output(x)
        if not any(self.squashed):
            return cast(Tensor, y)
        return torch.where(torch.tensor(self.squashed, device=y.device).view(-1, 1, 1), torch.sigmoid(y), y)

    def parameter_counts(self) -> list[int]:
        """Weights and biases of each trial's own network, `pack` of them."""
        return [
            sum((before + 1) * after for before, after in itertools.pairwise([inputs, *widths, outputs]))
            for inputs, widths, outputs in zip(self.inputs, self.widths, self.outputs, strict=True)
        ]

    def repad(self) -> None:
        """Give every layer the width of the pack's widest, and the pack the depth of its deepest."""
        pack, before = len(self.widths), max(self.inputs)
        del self.hidden[max(map(len, self.widths)) :]
        for level, layer in enumerate(self.hidden):
            width = max(self._at(level))
            _resize_layer(layer, pack, before, width)
            before = width
        _resize_layer(self.output, pack, before, max(self.outputs))

    def _at(self, level: int) -> list[int]:
        """Width of each trial behind hidden layer `level`: beyond its own depth, that of its last layer."""
        return [widths[min(level, len(widths) - 1)] for widths in self.widths]

    def _activate(self, x: Tensor) -> Tensor:
        runs = [(name, len(list(run))) for name, run in itertools.groupby(self.activation)]
        if len(runs) == 1:
            return ACTIVATIONS[self.activation[0]](x)
        parts = zip(runs, torch.split(x, [length for _, length in runs]), strict=True)
        return torch.cat([ACTIVATIONS[name](part) for (name, _), part in parts])


def _resize_layer(layer: nn.Module, pack: int, inputs: int, outputs: int) -> None:
    resize(layer, "weight", (pack, inputs, outputs))
    resize(layer, "bias", (pack, 1, outputs))
    resize(layer, "mask", (pack, 1, outputs))
    if layer.links is not None:
        resize(layer, "links", (pack, inputs, outputs))
