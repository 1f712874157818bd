"""Autoencoder without a prior: a Gaussian is fitted to the codes after training, and sampled from.

Source: Ghosh et al. 2020, From Variational to Deterministic Autoencoders, section 4 (ex-post density estimation).
Notation: data [pack, batch, features], code and latent [pack, batch, latent], factor [pack, latent, latent].
"""

from typing import final

import torch
from torch import Tensor

from models.decoder import GaussianDecoder, compared
from models.layers import MLP, Activation, Output
from models.model import Model, Shape
from models.noise import Noise
from models.pack import Ragged, resize

RIDGE = 1e-6  # added to each variance of the codes, as a share of their sum


@final
class LatentGaussian(Ragged):
    """N(mean, factor factor^T) on the latent space; N(0, I) until it is fitted."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = (latent,)
        self.mean: Tensor
        self.factor: Tensor
        self.register_buffer("mean", torch.zeros(1, 1, latent))
        self.register_buffer("factor", torch.eye(latent).unsqueeze(0))

    def fit(self, codes: Tensor) -> None:
        """Take mean and covariance of `codes` `[pack, n, latent]`."""
        exact = codes.double()
        mean = exact.mean(1, keepdim=True)
        covariance = (exact - mean).mT @ (exact - mean) / codes.shape[1]
        variances = covariance.diagonal(dim1=1, dim2=2)
        # Collapsed codes have no factor without a ridge; the sum, unlike the mean, is blind to padding.
        variances += RIDGE * variances.sum(1, keepdim=True) + torch.finfo(torch.float32).tiny
        # Not `cholesky`, which raises for the whole pack where one trial has diverged.
        self.factor.copy_(torch.linalg.cholesky_ex(covariance).L)
        self.mean.copy_(mean)

    def draw(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, latent]`, zero beyond each trial's own width."""
        return torch.baddbmm(self.mean, noise.normal("latent", self.latent), self.factor.mT)

    def repad(self) -> None:
        """Give all trials the latent space of the pack's largest."""
        pack, widest = len(self.latent), max(self.latent)
        resize(self, "mean", (pack, 1, widest))
        resize(self, "factor", (pack, widest, widest))


@final
class AE(Model):
    """z = code(x), p(x|z) = N(decode(z), diag sigma^2), p(z) a Gaussian fitted to the codes of the training rows.

    Args:
        shape: columns of the data (its source isn't used: an autoencoder samples from its own codes).
        seed: of the initial weights.
        latent: latent dimensions.
        encoder_width, encoder_depth: hidden layers of the encoder.
        decoder_width, decoder_depth: hidden layers of the decoder.
        activation: of the hidden layers of both.
        output: "linear", or "sigmoid" for features in [0, 1].
        sigma: standard deviation of the decoder in feature units, or its start where it is learned.
        learn_sigma: learn one sigma a column.
        dropout: share of hidden units dropped in training.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        shape: Shape,
        seed: int,
        *,
        latent: int = 2,
        encoder_width: int = 64,
        encoder_depth: int = 2,
        decoder_width: int = 64,
        decoder_depth: int = 2,
        activation: Activation = "relu",
        output: Output = "linear",
        sigma: float = 0.3,
        learn_sigma: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if latent < 1:
            raise ValueError(f"latent must be at least 1, got {latent}")
        generator = torch.Generator().manual_seed(seed)
        self.encoder = MLP(
            shape.features,
            latent,
            width=encoder_width,
            depth=encoder_depth,
            activation=activation,
            dropout=dropout,
            output="linear",
            generator=generator,
            name="encoder",
        )
        self.decoder = GaussianDecoder(
            latent,
            shape.features,
            width=decoder_width,
            depth=decoder_depth,
            activation=activation,
            dropout=dropout,
            output=output,
            sigma=sigma,
            learn_sigma=learn_sigma,
            generator=generator,
        )
        self.codes = LatentGaussian(latent)

    def code(self, data: Tensor, noise: Noise | None = None) -> Tensor:
        """Codes `[pack, batch, latent]`; `noise` is given in training only."""
        codes: Tensor = self.encoder(data, noise)
        return codes

    def decode(self, latent: Tensor, noise: Noise | None = None) -> Tensor:
        """Mean of p(x|z), `[pack, batch, features]`; `noise` is given in training only."""
        mean: Tensor = self.decoder(latent, noise)
        return mean

    def log_scale(self) -> Tensor:
        """Logarithm of the decoder's sigma, `[pack, 1, features]`; it has a gradient only where it is learned."""
        return self.decoder.log_scale()

    def fit_latent(self, codes: Tensor) -> None:
        """Fit the Gaussian of the latent space to `codes` `[pack, n, latent]`."""
        self.codes.fit(codes)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`: decode(z) + sigma eps, z from the fitted Gaussian."""
        return self.decoder.draw(self.codes.draw(noise), noise)

    def architecture(self) -> list[dict[str, float]]:
        """`parameters`, those of encoder and decoder, and log2 of encoder over decoder, of each trial."""
        return compared(self.encoder, self.decoder)
