"""Stochastic pushforward: networks with heads for the mean and the log-variance of a Gaussian around each output.

Source: Nix, Weigend 1994, Estimating the Mean and Variance of the Target Probability Distribution, section 2, for the
heads; Kingma, Welling 2014, Auto-Encoding Variational Bayes, section 2.4, for the draw.
Notation: inputs [pack, batch, features + source + noise], mean, log_variance and output [pack, batch, features].
"""

from typing import final

import torch
from torch import Tensor

from models.layers import MLP, Activation
from models.model import Model, Shape
from models.noise import Noise
from models.source import draw_inputs


@final
class Stochastic(Model):
    """x = mean + exp(log_variance / 2) eps with eps ~ N(0, I), so that a source of too few columns can fill space.

    Args:
        shape: columns of source and data.
        seed: of the initial weights.
        width, depth: units of the first hidden layer, and the number of hidden layers.
        activation: of the hidden layers.
        taper: units of each hidden layer over those of the one before it.
        noise: standard normal inputs of the network beside the source.
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
        taper: float = 1.0,
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
            2 * shape.features,
            width=width,
            depth=depth,
            activation=activation,
            dropout=dropout,
            output="linear",
            generator=torch.Generator().manual_seed(seed),
            name="network",
            taper=taper,
        )

    def draw(self, noise: Noise) -> Tensor:
        """Inputs `[pack, noise.rows, features + source + noise]`: fresh eps, then as a pushforward's."""
        eps = noise.normal("eps", [self.shape.features] * len(self.noise))
        return torch.cat([eps, draw_inputs(self.shape, self.noise, noise)], dim=2)

    def push(self, inputs: Tensor, noise: Noise | None = None) -> Tensor:
        """Rows `[pack, batch, features]` that `inputs` map to; `noise` is given in training only, for dropout."""
        eps, own = inputs.tensor_split([self.shape.features], dim=2)
        mean, log_variance = self.network(own, noise).chunk(2, dim=2)
        rows: Tensor = mean + (log_variance / 2).exp() * eps
        return rows

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]` pushed from fresh inputs."""
        return self.push(self.draw(noise))

    def architecture(self) -> list[dict[str, float]]:
        """`parameters` of each trial."""
        return [{"parameters": count} for count in self.network.parameter_counts()]
