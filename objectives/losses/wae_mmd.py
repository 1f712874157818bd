"""Wasserstein autoencoder whose aggregate posterior is drawn to the prior by maximum mean discrepancy.

Source: Tolstikhin et al. 2018, Wasserstein Auto-Encoders, equation 4 and algorithm 2; section 4 for the kernel.
Notation: rows [pack, batch, features]; latent z, prior [pack, batch, latent]; kernel [pack, batch, batch].
"""

from collections.abc import Mapping
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from objectives.losses.autoencoding import negative_log_likelihood, reparametrised
from objectives.losses.objective import Objective
from objectives.losses.protocols import Autoencoder, Noise
from objectives.losses.ramp import CONDITIONS, Mode, Ramp

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@final
class WAEMMD(Objective[Autoencoder]):
    """Mean over rows of -log p(x|z) + lam MMD^2, the unbiased one between codes and as many draws of N(0, I).

    The kernel is the sum of C / (C + |a - b|^2) over C = 2 latent {0.1, 0.2, 0.5, 1, 2, 5, 10}.

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
        lam: weight of the discrepancy.
        ramp, ramp_steps: how lam changes in training; see `Ramp`.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = Autoencoder
    conditions: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = CONDITIONS

    def __init__(
        self, rows: Tensor, seed: int, *, lam: float = 10.0, ramp: Mode = "constant", ramp_steps: int = 200
    ) -> None:
        super().__init__()
        self.lam = Ramp("lam", lam, ramp, ramp_steps)
        self.latent: Tensor
        self.register_buffer("latent", torch.zeros(1, 1, 1))  # `setup` sets it

    def setup(self, model: Autoencoder, rows: Tensor) -> None:
        """Store the number of latent dimensions, which padding hides later."""
        self.latent.fill_(model.encode(rows[:, :1])[0].shape[2])

    def loss(self, model: Autoencoder, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, with one draw of z a row."""
        dropout = noise if train else None
        mean, log_variance = model.encode(rows, dropout)
        z = reparametrised(mean, log_variance, model.latent_noise(noise))
        nats = negative_log_likelihood(model, rows, z, dropout).mean(1)
        return nats + self.lam.weigh(discrepancy(z, model.latent_noise(noise), 2 * self.latent), train)


def discrepancy(latent: Tensor, prior: Tensor, scale: Tensor) -> Tensor:
    """Return the unbiased MMD^2 `[pack]` of `latent` and `prior`, with C = `scale` `[pack, 1, 1]` times `SCALES`."""
    latents, priors = (_off_diagonal_mean(_kernel(rows, rows, scale)) for rows in (latent, prior))
    return latents + priors - 2 * _kernel(latent, prior, scale).mean((1, 2))


def _kernel(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
    terms = [scale * factor / (scale * factor + distances) for factor in SCALES]
    return sum(terms[1:], start=terms[0])


def _off_diagonal_mean(kernel: Tensor) -> Tensor:
    n = kernel.shape[1]
    return (kernel.sum((1, 2)) - len(SCALES) * n) / (n * max(n - 1, 1))
