"""Negative evidence lower bound of a variational autoencoder, with a weight on the divergence from the prior.

Source: Kingma, Welling 2014, Auto-Encoding Variational Bayes, equations 3 and 10; Higgins et al. 2017 for beta.
Notation: rows x [pack, batch, features]; mean, log_variance, latent z [pack, batch, latent]; sigma [pack, 1, features].
"""

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Autoencoder, Noise


@final
class ELBO(Objective[Autoencoder]):
    """Mean over rows of -log p(x|z) + beta KL(q(z|x) || N(0, I)), in nats a row.

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
        beta: weight of the divergence; 1 is the evidence lower bound.

    Raises:
        ValueError: beta is negative.
    """

    protocol: ClassVar[type] = Autoencoder

    def __init__(self, rows: Tensor, seed: int, *, beta: float = 1.0) -> None:
        super().__init__()
        if not (beta >= 0 and math.isfinite(beta)):
            raise ValueError(f"beta must be at least 0, got {beta}")
        self.beta: Tensor
        self.register_buffer("beta", torch.full((1, 1), beta))

    def loss(self, model: Autoencoder, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Loss `[pack]`, with one draw of z a row."""
        dropout = noise if train else None
        mean, log_variance = model.encode(rows, dropout)
        z = mean + (log_variance / 2).exp() * model.latent_noise(noise)
        log_sigma = model.log_scale()
        residual = (rows - model.decode(z, dropout)) * torch.exp(-log_sigma)
        nats = (residual.square() / 2 + log_sigma + math.log(2 * math.pi) / 2).sum(2)
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(2) / 2
        return (nats + self.beta * divergence).mean(1)
