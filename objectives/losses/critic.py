"""A stacked critic or discriminator that an objective trains beside the model, and its optimiser.

Notation: x [pack, batch, inputs], loss [pack].
"""

import itertools
from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from models.layers import MLP
from models.optimizers import adam, zeros_like


@final
class Critic(nn.Module):
    """Multilayer perceptron (leaky ReLU) from a row to one number, trained by its own Adam.

    Args:
        inputs: columns of a row.
        width, depth: units of a hidden layer, and the number of hidden layers.
        rate: step size of Adam.
        betas: decay of Adam's moments.
        seed: seed of the initial weights.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, inputs: int, *, width: int, depth: int, rate: float, betas: tuple[float, float], seed: int
    ) -> None:
        super().__init__()
        if not rate > 0:
            raise ValueError(f"critic_rate must be above 0, got {rate}")
        self.network = MLP(
            inputs,
            1,
            width=width,
            depth=depth,
            activation="leaky_relu",
            dropout=0.0,
            output="linear",
            generator=torch.Generator().manual_seed(seed),
            name="critic",
        )
        self.first, self.second = zeros_like(self.network), zeros_like(self.network)
        self.betas = (betas,)
        self.rate: Tensor
        self.steps: Tensor
        self.register_buffer("rate", torch.full((1, 1, 1), rate))
        self.register_buffer("steps", torch.zeros(1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the value `[pack, batch]` of each row."""
        return cast(Tensor, self.network(x).squeeze(2))

    def step(self, loss: Tensor, resting: Sequence[int] = ()) -> None:
        """Descend `loss` `[pack]` by one step of Adam, except for the trials `resting`; the model doesn't change."""
        parameters = list(self.network.parameters())
        gradients = torch.autograd.grad(loss.sum(), parameters)
        moments = list(zip(self.first.parameters(), self.second.parameters(), strict=True))
        with torch.no_grad():
            state = [self.steps, *parameters, *itertools.chain(*moments)] if resting else []
            before = [tensor[list(resting)] for tensor in state]
            self.steps += 1
            for parameter, gradient, pair in zip(parameters, gradients, moments, strict=True):
                adam(parameter, gradient, pair, self.steps, rate=self.rate, betas=self.betas[0])
            for tensor, old in zip(state, before, strict=True):
                tensor[list(resting)] = old
