"""The negative evidence lower bound of a variational autoencoder, with a weight on the divergence from the prior.

Source: Kingma, Welling 2014, Auto-Encoding Variational Bayes, equations 3 and 10; Higgins et al. 2017 for beta.
Notation: rows [pack, batch, features]; mean, log_variance, latent z [pack, batch, latent].
"""

from collections.abc import Mapping
from typing import Any, ClassVar, final

from torch import Tensor

from objectives.losses.autoencoding import divergence, negative_log_likelihood, reparametrised
from objectives.losses.objective import Objective
from objectives.losses.protocols import Autoencoder, Noise
from objectives.losses.ramp import CONDITIONS, Mode, Ramp


@final
class ELBO(Objective[Autoencoder]):
    """Mean over rows of -log p(x|z) + beta KL(q(z|x) || N(0, I)), in nats a row.

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
        beta: weight of the divergence; 1 is the evidence lower bound.
        ramp, ramp_steps: how beta changes in training; see `Ramp`.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = Autoencoder
    conditions: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = CONDITIONS

    def __init__(
        self, rows: Tensor, seed: int, *, beta: float = 1.0, ramp: Mode = "constant", ramp_steps: int = 200
    ) -> None:
        super().__init__()
        self.beta = Ramp("beta", beta, ramp, ramp_steps)

    def loss(self, model: Autoencoder, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, with one draw of z a row."""
        dropout = noise if train else None
        mean, log_variance = model.encode(rows, dropout)
        z = reparametrised(mean, log_variance, model.latent_noise(noise))
        nats = negative_log_likelihood(model, rows, z, dropout).mean(1)
        return nats + self.beta.weigh(divergence(mean, log_variance).mean(1), train)
