"""Diffusion: a network tells a row from it plus noise of any size, and a differential equation takes noise to rows.

Source: Karras et al. 2022, Elucidating the Design Space of Diffusion-Based Generative Models (EDM), equation 7, table 1
and algorithm 1 without churn.
Notation: x [pack, batch, features] = row + sigma eps; sigma [pack, batch, 1] or [pack, 1, 1], in feature units.
"""

import math
from typing import cast, final

import torch
from torch import Tensor

from models.layers import Activation
from models.model import Model, Shape
from models.noise import Noise
from models.time_embedding import TimeMLP

# Sigma where the way of a row ends and begins. The source begins at 80, which suits images: from there 18 steps make
# normal rows of unit deviation 4.5 % too wide; from 20, thirty make them 0.9 % too wide.
LEAST, MOST = 0.002, 20.0
CURVE = 7.0  # rho: steps are equal in sigma^(1 / rho), short where sigma is small
DATA = 1.0  # deviation of the rows that the network's scales are made for


@final
class Diffusion(Model):
    """dx / d sigma = (x - denoise(x, sigma)) / sigma, from x ~ N(0, 20^2 I) at sigma 20 to a row at sigma 0.

    Args:
        shape: columns of the data (its source isn't used: a diffusion starts from noise in the data's dimension).
        seed: of the initial weights.
        width, depth: units of a hidden layer, and the number of hidden layers.
        activation: of the hidden layers.
        dropout: share of hidden units dropped in training.
        steps: of Heun's method, with two evaluations of the network each but the last, which has one.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        shape: Shape,
        seed: int,
        *,
        width: int = 64,
        depth: int = 3,
        activation: Activation = "silu",
        dropout: float = 0.0,
        steps: int = 30,
    ) -> None:
        super().__init__()
        if steps < 2:
            raise ValueError(f"steps must be at least 2, got {steps}")
        self.shape = shape
        self.network = TimeMLP(
            shape.features, width=width, depth=depth, activation=activation, dropout=dropout, seed=seed
        )
        self.steps = (steps,)

    def denoise(self, noisy: Tensor, sigma: Tensor, noise: Noise | None = None) -> Tensor:
        """The mean row `[pack, batch, features]` that `noisy` may come from; `noise` is given in training only."""
        total = (sigma.square() + DATA**2).sqrt()
        skipped, scale = (DATA / total).square(), sigma * DATA / total
        # c_noise = ln(sigma) / 4 of the source, moved to [0, 1], where the embedding of a time lives.
        time = (sigma / LEAST).log() / math.log(MOST / LEAST)
        return skipped * noisy + scale * cast(Tensor, self.network(noisy / total, time, noise))

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`, all trials abreast; one of fewer steps waits at its end."""
        x = MOST * noise.normal("start", [self.shape.features] * len(self.steps))
        for step in range(max(self.steps)):
            now, then = self._sigma(step), self._sigma(step + 1)
            slope = self._slope(x, now)
            ahead = x + (then - now) * slope
            mean = (slope + self._slope(ahead, then)) / 2
            x = torch.where(then > 0, x + (then - now) * mean, ahead)
        return x

    def architecture(self) -> list[dict[str, float]]:
        """`parameters` of each trial."""
        return [{"parameters": count} for count in self.network.parameter_counts()]

    def _sigma(self, step: int) -> Tensor:
        """Sigma of each trial before its `step`, `[pack, 1, 1]`; 0 behind its last."""
        steps = torch.tensor(self.steps, device=next(self.parameters()).device).view(-1, 1, 1)
        high, low = MOST ** (1 / CURVE), LEAST ** (1 / CURVE)
        return torch.where(step < steps, (high + step / (steps - 1) * (low - high)).pow(CURVE), 0.0)

    def _slope(self, x: Tensor, sigma: Tensor) -> Tensor:
        """dx / d sigma; 0 where sigma is."""
        positive = torch.where(sigma > 0, sigma, 1.0)
        return torch.where(sigma > 0, (x - self.denoise(x, positive)) / positive, 0.0)
