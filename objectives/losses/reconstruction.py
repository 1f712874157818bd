"""The reconstruction loss of an autoencoder without a prior.

Source: Ghosh et al. 2020, From Variational to Deterministic Autoencoders, sections 3 and 4.
Notation: rows [pack, batch, features]; code z [pack, batch, latent].
"""

from typing import ClassVar, final

from torch import Tensor

from objectives.losses.autoencoding import negative_log_likelihood
from objectives.losses.objective import Objective
from objectives.losses.protocols import DeterministicAutoencoder, Noise


@final
class Reconstruction(Objective[DeterministicAutoencoder]):
    """Mean over rows of -log p(x|z), in nats a row, z the code of x.

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
    """

    protocol: ClassVar[type] = DeterministicAutoencoder

    def __init__(self, rows: Tensor, seed: int) -> None:
        super().__init__()

    def loss(self, model: DeterministicAutoencoder, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`."""
        dropout = noise if train else None
        return negative_log_likelihood(model, rows, model.code(rows, dropout), dropout).mean(1)

    def finalize(self, model: DeterministicAutoencoder, rows: Tensor, noise: Noise) -> None:
        """Fit the latent Gaussian to the codes of all training rows."""
        model.fit_latent(model.code(rows))
