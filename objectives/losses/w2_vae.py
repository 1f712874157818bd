"""Autoencoder whose posteriors are drawn to the prior in Wasserstein distance.

Source: Olkin, Pukelsheim 1982, The Distance between Two Random Vectors with Given Dispersion Matrices, equation 4.
Notation: rows [pack, batch, features]; mean, log_variance, latent z [pack, batch, latent].
"""

from collections.abc import Mapping
from typing import Any, ClassVar, final

from torch import Tensor

from objectives.losses.autoencoding import negative_log_likelihood, reparametrised
from objectives.losses.objective import Objective
from objectives.losses.protocols import Autoencoder, Noise
from objectives.losses.ramp import CONDITIONS, Mode, Ramp


@final
class W2VAE(Objective[Autoencoder]):
    """Mean over rows of -log p(x|z) + lam W_2^2(q(z|x), N(0, I)).

    Unlike the divergence of `elbo` the distance stays finite, 1 a dimension, if a posterior collapses to a point. So in
    long training codes shrink towards zero, the decoder magnifies them, and the prior covers more than the codes fill.

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
        lam: weight of the squared distance.
        ramp, ramp_steps: how lam changes in training; see `Ramp`.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = Autoencoder
    conditions: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = CONDITIONS

    def __init__(
        self, rows: Tensor, seed: int, *, lam: float = 1.0, ramp: Mode = "constant", ramp_steps: int = 200
    ) -> None:
        super().__init__()
        self.lam = Ramp("lam", lam, ramp, ramp_steps)

    def loss(self, model: Autoencoder, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, with one draw of z a row."""
        dropout = noise if train else None
        mean, log_variance = model.encode(rows, dropout)
        z = reparametrised(mean, log_variance, model.latent_noise(noise))
        nats = negative_log_likelihood(model, rows, z, dropout).mean(1)
        return nats + self.lam.weigh(squared_w2(mean, log_variance).mean(1), train)


def squared_w2(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the squared W2 distance |mean|^2 + |s - 1|^2 `[pack, batch]` of N(mean, diag s^2) and N(0, I)."""
    return (mean.square() + ((log_variance / 2).exp() - 1).square()).sum(2)
