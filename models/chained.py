"""Chained pushforward: one network a column, each fed what the one before it gave.

Source: Rosenblatt 1952, Remarks on a Multivariate Transformation, for a map column by column; here each is conditioned
on the one before it alone, with no randomness of its own, so that all columns are functions of the first.
Notation: inputs [pack, batch, source + noise], output [pack, batch, features].
"""

from typing import cast, final

import torch
from torch import Tensor, nn

from models.layers import MLP, Activation, Output
from models.model import Model, Shape
from models.noise import Noise
from models.source import draw_inputs


@final
class Chained(Model):
    """The first column is a map of the source and extra noise, every other one a map of the column before it.

    Args:
        shape: columns of source and data.
        seed: of the initial weights.
        width, depth: units of a hidden layer, and the number of hidden layers, of each network.
        activation: of the hidden layers.
        output: "linear", or "sigmoid" for features in [0, 1], which the next network is fed.
        noise: standard normal inputs of the first network beside the source.
        dropout: share of hidden units dropped in training.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        shape: Shape,
        seed: int,
        *,
        width: int = 64,
        depth: int = 2,
        activation: Activation = "tanh",
        output: Output = "linear",
        noise: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if noise < 0:
            raise ValueError(f"noise must be at least 0, got {noise}")
        generator = torch.Generator().manual_seed(seed)
        self.shape = shape
        self.noise = (noise,)
        self.networks = nn.ModuleList(
            MLP(
                inputs,
                1,
                width=width,
                depth=depth,
                activation=activation,
                dropout=dropout,
                output=output,
                generator=generator,
                name=f"network{column}",
            )
            for column, inputs in enumerate([shape.source_features + noise] + [1] * (shape.features - 1))
        )

    def draw(self, noise: Noise) -> Tensor:
        """Inputs `[pack, noise.rows, source + noise]`: fresh rows of the source, then of the extra noise."""
        return draw_inputs(self.shape, self.noise, noise)

    def push(self, inputs: Tensor, noise: Noise | None = None) -> Tensor:
        """Rows `[pack, batch, features]` that `inputs` map to; `noise` is given in training only, for dropout."""
        columns = [inputs]
        for network in self.networks:
            columns.append(network(columns[-1], noise))
        return torch.cat(columns[1:], dim=2)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]` pushed from fresh inputs."""
        return self.push(self.draw(noise))

    def architecture(self) -> list[dict[str, float]]:
        """`parameters` of each trial."""
        counts = [cast(MLP, network).parameter_counts() for network in self.networks]
        return [{"parameters": sum(own)} for own in zip(*counts, strict=True)]
