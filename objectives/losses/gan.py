"""Generative adversarial network: a pushforward against a discriminator, with the generator's non-saturating loss.

Source: Goodfellow et al. 2014, Generative Adversarial Nets, algorithm 1 and, for the generator's loss, section 3.
Notation: rows x [pack, batch, features], generated y [pack, batch, features], D = sigmoid(critic) [pack, batch].
"""

from typing import ClassVar, final

from torch import Tensor
from torch.nn.functional import softplus

from objectives.losses.critic import Critic
from objectives.losses.objective import Objective
from objectives.losses.protocols import Noise, Pushforward

BETAS = (
    0.5,
    0.999,
)  # Radford, Metz, Chintala 2016, section 4: with more memory of the gradient training oscillates


@final
class GAN(Objective[Pushforward]):
    """Non-saturating loss -log D(y); before, the discriminator descends -log D(x) - log(1 - D(y)) on the same rows.

    Args:
        rows: training features `[n, features]`.
        seed: seed of the discriminator's initial weights.
        critic_width, critic_depth: units of a hidden layer of the discriminator, and the number of hidden layers.
        critic_rate: step size of its Adam.
        critic_steps: its steps for each step of the model.

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
        critic_steps: int = 3,
    ) -> None:
        super().__init__()
        if critic_steps < 1:
            raise ValueError(f"critic_steps must be at least 1, got {critic_steps}")
        self.critic = Critic(
            rows.shape[1], width=critic_width, depth=critic_depth, rate=critic_rate, betas=BETAS, seed=seed
        )
        self.critic_steps = (critic_steps,)

    def loss(self, model: Pushforward, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return -log D(y) `[pack]`, log 2 if the discriminator can't tell; with `train` it takes its steps first."""
        y = model.push(model.draw(noise), noise if train else None)
        for step in range(max(self.critic_steps) if train else 0):
            told_apart = softplus(-self.critic(rows)) + softplus(self.critic(y.detach()))
            self.critic.step(told_apart.mean(1), [i for i, own in enumerate(self.critic_steps) if own <= step])
        return softplus(-self.critic(y)).mean(1)
