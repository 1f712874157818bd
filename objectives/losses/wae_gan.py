"""Wasserstein autoencoder whose aggregate posterior is drawn to the prior by a discriminator.

Source: Tolstikhin et al. 2018, Wasserstein Auto-Encoders, algorithm 1.
Notation: rows [pack, batch, features]; latent z, prior [pack, batch, latent]; penalty [pack].
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, final

from torch import Tensor
from torch.nn.functional import softplus

from objectives.losses.autoencoding import negative_log_likelihood, reparametrised
from objectives.losses.critic import Critic
from objectives.losses.objective import Objective
from objectives.losses.protocols import Autoencoder, Noise
from objectives.losses.ramp import CONDITIONS, Mode, Ramp

BETAS = (0.5, 0.999)


@final
class WAEGAN(Objective[Autoencoder]):
    """Mean over rows of -log p(x|z) - lam log D(z); D tells codes from draws of N(0, I).

    Args:
        rows: training features `[n, features]`; not used.
        seed: seed of the discriminator's initial weights.
        lam: weight of the penalty.
        critic_width, critic_depth: hidden layers of the discriminator.
        critic_rate: step size of its Adam, one step a batch; larger than the model's, so that it keeps up.
        ramp, ramp_steps: how lam changes in training; see `Ramp`.

    Raises:
        ValueError: an argument is out of its range (for those of the discriminator, in `setup`).
    """

    protocol: ClassVar[type] = Autoencoder
    conditions: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = CONDITIONS

    def __init__(
        self,
        rows: Tensor,
        seed: int,
        *,
        lam: float = 10.0,
        critic_width: int = 64,
        critic_depth: int = 2,
        critic_rate: float = 5e-3,
        ramp: Mode = "constant",
        ramp_steps: int = 200,
    ) -> None:
        super().__init__()
        self.lam = Ramp("lam", lam, ramp, ramp_steps)
        self._critic = partial(Critic, width=critic_width, depth=critic_depth, rate=critic_rate, betas=BETAS, seed=seed)
        self.critic: Critic

    def setup(self, model: Autoencoder, rows: Tensor) -> None:
        """Build the discriminator, whose inputs are the latent dimensions."""
        self.critic = self._critic(model.encode(rows[:, :1])[0].shape[2])

    def loss(self, model: Autoencoder, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, with one draw of z a row; in training the discriminator takes a step first."""
        dropout = noise if train else None
        mean, log_variance = model.encode(rows, dropout)
        z = reparametrised(mean, log_variance, model.latent_noise(noise))
        if train:
            prior, codes = self.critic(model.latent_noise(noise)), self.critic(z.detach())
            self.critic.step((softplus(-prior) + softplus(codes)).mean(1))
        nats = negative_log_likelihood(model, rows, z, dropout).mean(1)
        return nats + self.lam.weigh(softplus(-self.critic(z)).mean(1), train)
