"""Wasserstein generative adversarial network with a gradient penalty: a pushforward against a critic of slope 1.

Source: Gulrajani et al. 2017, Improved Training of Wasserstein GANs, equation 3 and algorithm 1.
Notation: rows x [pack, batch, features], generated y [pack, batch, features], critic D [pack, batch].
"""

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from objectives.losses.critic import Critic
from objectives.losses.objective import Objective
from objectives.losses.protocols import Noise, Pushforward

BETAS = (0.5, 0.9)


@final
class WGANGP(Objective[Pushforward]):
    """Critic's estimate of W1, E D(x) - E D(y), which the model descends after the critic has ascended it.

    The critic's steps of one batch use the same rows x and y, with fresh points between them. So a trial's random
    numbers don't depend on how many steps its company takes.

    Args:
        rows: training features `[n, features]`.
        seed: seed of the critic's initial weights.
        critic_width, critic_depth: units of a hidden layer of the critic, and the number of hidden layers.
        critic_rate: step size of its Adam; the paper uses 1e-4 for critic and model, which is slow for small networks.
        critic_steps: its steps for each step of the model.
        gradient_penalty: weight of (|grad D| - 1)^2 at a point between each row and a generated one.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = Pushforward

    def __init__(
        self,
        rows: Tensor,
        seed: int,
        *,
        critic_width: int = 64,
        critic_depth: int = 2,
        critic_rate: float = 1e-3,
        critic_steps: int = 5,
        gradient_penalty: float = 1.0,
    ) -> None:
        super().__init__()
        if critic_steps < 1:
            raise ValueError(f"critic_steps must be at least 1, got {critic_steps}")
        if not (gradient_penalty >= 0 and math.isfinite(gradient_penalty)):
            raise ValueError(f"gradient_penalty must be at least 0, got {gradient_penalty}")
        self.critic = Critic(
            rows.shape[1], width=critic_width, depth=critic_depth, rate=critic_rate, betas=BETAS, seed=seed
        )
        self.critic_steps = (critic_steps,)
        self.gradient_penalty: Tensor
        self.register_buffer("gradient_penalty", torch.full((1, 1), gradient_penalty))

    def loss(self, model: Pushforward, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return E D(x) - E D(y) `[pack]`; with `train` the critic takes its steps first."""
        y = model.push(model.draw(noise), noise if train else None)
        if train:
            self._train_critic(rows, y.detach(), noise)
        told_apart: Tensor = self.critic(rows) - self.critic(y)
        return told_apart.mean(1)

    def _train_critic(self, rows: Tensor, y: Tensor, noise: Noise) -> None:
        shares = noise.uniform("between", self.critic_steps)
        for step in range(max(self.critic_steps)):
            between = torch.lerp(y, rows, shares[..., step : step + 1]).requires_grad_()
            (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
            penalty = self.gradient_penalty * (slope.norm(dim=2) - 1).square()
            loss = (self.critic(y) - self.critic(rows) + penalty).mean(1)
            self.critic.step(loss, [i for i, own in enumerate(self.critic_steps) if own <= step])
