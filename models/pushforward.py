"""Pushforward: a multilayer perceptron that maps a source distribution to the data's (a generator without a critic).

Source: Li, Swersky, Zemel 2015, Generative Moment Matching Networks, section 3.
Notation: inputs [pack, batch, source + noise], output [pack, batch, features].
"""

from typing import final

import torch
from torch import Tensor

from models.layers import MLP, Activation, Output
from models.model import Model, Shape
from models.noise import Noise
from models.source import draw_inputs


@final
class Pushforward(Model):
    """A map from the problem's source, and extra noise if wanted, to the data.

    Args:
        shape: columns of source and data.
        seed: of the initial weights.
        width, depth: units of a hidden layer, and the number of hidden layers.
        activation: of the hidden layers.
        output: "linear", or "sigmoid" for features in [0, 1].
        noise: standard normal inputs beside the source; a source of too few columns can only fill space as a curve.
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
        activation: Activation = "relu",
        output: Output = "linear",
        noise: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if noise < 0:
            raise ValueError(f"noise must be at least 0, got {noise}")
        self.shape = shape
        self.noise = (noise,)
        self.network = MLP(
            shape.source_features + noise,
            shape.features,
            width=width,
            depth=depth,
            activation=activation,
            dropout=dropout,
            output=output,
            generator=torch.Generator().manual_seed(seed),
            name="network",
        )

    def draw(self, noise: Noise) -> Tensor:
        """Inputs `[pack, noise.rows, source + noise]`: fresh rows of the source, then of the extra noise."""
        return draw_inputs(self.shape, self.noise, noise)

    def push(self, inputs: Tensor, noise: Noise | None = None) -> Tensor:
        """Rows `[pack, batch, features]` that `inputs` map to; `noise` is given in training only, for dropout."""
        rows: Tensor = self.network(inputs, noise)
        return rows

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]` pushed from fresh inputs."""
        return self.push(self.draw(noise))

    def architecture(self) -> list[dict[str, float]]:
        """`parameters` of each trial."""
        return [{"parameters": count} for count in self.network.parameter_counts()]
