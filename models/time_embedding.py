"""Time embedding: a network that serves every time of a path, and is told which one by sinusoids.

Source: Vaswani et al. 2017, Attention Is All You Need, section 3.5; the frequencies of Mildenhall et al. 2020, NeRF.
Notation: x [pack, batch, features]; time in [0, 1], [pack, batch, 1], or [pack, 1, 1] where all rows share it.
"""

import math
from typing import cast, final

import torch
from torch import Tensor, nn

from models.layers import MLP, Activation
from models.noise import Noise

FREQUENCIES = 4


@final
class TimeMLP(nn.Module):
    """Stacked multilayer perceptron from x and the embedding of its time to as many columns as x has.

    Args:
        features: columns in and out.
        width, depth: units of a hidden layer, and the number of hidden layers.
        activation: of the hidden layers.
        dropout: share of hidden units dropped in training.
        seed: of the initial weights.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, features: int, *, width: int, depth: int, activation: Activation, dropout: float, seed: int
    ) -> None:
        super().__init__()
        self.layers = MLP(
            features + 2 * FREQUENCIES,
            features,
            width=width,
            depth=depth,
            activation=activation,
            dropout=dropout,
            output="linear",
            generator=torch.Generator().manual_seed(seed),
            name="network",
        )

    def forward(self, x: Tensor, time: Tensor, noise: Noise | None = None) -> Tensor:
        """Output `[pack, batch, features]` for `x` at `time`; with `noise`, hidden units are dropped as in training."""
        embedded = embedding(time).expand(-1, x.shape[1], -1)
        return cast(Tensor, self.layers(torch.cat([x, embedded], dim=2), noise))

    def parameter_counts(self) -> list[int]:
        """Weights and biases of each trial's own network, `pack` of them."""
        return self.layers.parameter_counts()


def embedding(time: Tensor) -> Tensor:
    """Sines and cosines of 2^k pi `time` `[..., 1]`, k = 0, 1, 2, 3, as `[..., 8]`."""
    angles = time * (math.pi * 2.0 ** torch.arange(FREQUENCIES, device=time.device))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
