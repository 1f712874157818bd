"""Shared parts of the autoencoders' objectives: reparametrised codes, reconstruction and divergence.

Source: Kingma, Welling 2014, Auto-Encoding Variational Bayes, equation 10 and appendices B and C.2.
Notation: rows x [pack, batch, features]; mean, log_variance, latent z [pack, batch, latent]; sigma [pack, 1, features].
"""

import math

from torch import Tensor

from objectives.losses.protocols import Decoder, Noise


def reparametrised(mean: Tensor, log_variance: Tensor, eps: Tensor) -> Tensor:
    """Return z = mean + exp(log_variance / 2) eps."""
    return mean + (log_variance / 2).exp() * eps


def negative_log_likelihood(model: Decoder, rows: Tensor, latent: Tensor, dropout: Noise | None) -> Tensor:
    """Return -log p(x|z) `[pack, batch]`, in nats a row."""
    log_sigma = model.log_scale()
    residual = (rows - model.decode(latent, dropout)) * (-log_sigma).exp()
    return (residual.square() / 2 + log_sigma + math.log(2 * math.pi) / 2).sum(2)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(q(z|x) || N(0, I)) `[pack, batch]`, in nats a row."""
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(2) / 2
