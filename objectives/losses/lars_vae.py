"""The negative evidence lower bound under a resampled prior, whose normaliser is estimated in training.

Source: Bauer, Mnih 2019, Resampled Priors for Variational Autoencoders, section 3 (estimation of Z and its gradient).
Notation: rows [pack, batch, features]; latent z [pack, batch, latent]; acceptance a(z), Z_r [pack, batch]; Z [pack, 1].
"""

from collections.abc import Mapping
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from objectives.losses.autoencoding import divergence, negative_log_likelihood, reparametrised
from objectives.losses.objective import Objective
from objectives.losses.protocols import Noise, ResampledAutoencoder
from objectives.losses.ramp import CONDITIONS, Mode, Ramp

MEMORY = 100  # steps of the moving average of Z
SAMPLES = 65536  # least number of proposals for the mean of the frozen Z


@final
class LARS(Objective[ResampledAutoencoder]):
    """Mean over rows of -log p(x|z) + lam (KL(q(z|x) || pi) - log p_T(z) / pi(z)), pi = N(0, I).

    In training Z is a moving average with the gradient of the present step; otherwise Z is frozen.

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
        lam: weight of the divergence from the prior; 1 is the evidence lower bound.
        ramp, ramp_steps: how lam changes in training; see `Ramp`.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = ResampledAutoencoder
    conditions: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = CONDITIONS

    def __init__(
        self, rows: Tensor, seed: int, *, lam: float = 1.0, ramp: Mode = "constant", ramp_steps: int = 200
    ) -> None:
        super().__init__()
        self.lam = Ramp("lam", lam, ramp, ramp_steps)
        self.steps: Tensor
        self.average: Tensor
        self.register_buffer("steps", torch.zeros(1, 1))
        self.register_buffer("average", torch.zeros(1, 1))

    def loss(self, model: ResampledAutoencoder, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, with one draw of z a row, and in training one proposal a row."""
        dropout = noise if train else None
        mean, log_variance = model.posterior(rows, dropout)
        eps = model.latent_noise(noise)
        z = reparametrised(mean, log_variance, eps)
        normalizer = None
        if train:
            # z is detached: Z doesn't depend on the encoder, but with a fixed ratio it would seem to.
            proposals, own = model.acceptance(torch.cat([model.latent_noise(noise), z.detach()], 1)).chunk(2, 1)
            ratio = ((eps.square() + log_variance - z.square()).sum(2) / 2).exp()
            normalizer = self._smoothed(estimate(proposals, own, ratio))
        penalty = divergence(mean, log_variance) - model.log_resampling(z, normalizer)
        nats = negative_log_likelihood(model, rows, z, dropout).mean(1)
        return nats + self.lam.weigh(penalty.mean(1), train)

    def finalize(self, model: ResampledAutoencoder, rows: Tensor, noise: Noise) -> None:
        """Freeze Z as the mean over many proposals."""
        rounds = -(-SAMPLES // noise.rows)
        means = [model.acceptance(model.latent_noise(noise)).mean(1, keepdim=True) for _ in range(rounds)]
        model.freeze(torch.stack(means).mean(0))

    def _smoothed(self, estimates: Tensor) -> Tensor:
        """Return the moving average with the gradient of `estimates` `[pack, batch]`."""
        self.steps += 1
        present = estimates.detach().mean(1, keepdim=True).clamp_max(1)  # the ratio may raise it above 1
        self.average = self.average + (present - self.average) / self.steps.clamp_max(MEMORY)
        return self.average + estimates - estimates.detach()


def estimate(proposals: Tensor, own: Tensor, ratio: Tensor) -> Tensor:
    """Return Z_r = (sum_s a(z_s) + ratio_r a(z_r)) / (S + 1) `[pack, batch]`; no gradient passes the ratio.

    Args:
        proposals: a(z_s) of draws of pi, `[pack, S]`.
        own: a(z_r) of draws of q(z|x_r), `[pack, batch]`.
        ratio: pi(z_r) / q(z_r|x_r), `[pack, batch]`.
    """
    return (proposals.sum(1, keepdim=True) + ratio.detach() * own) / (proposals.shape[1] + 1)
