"""Variational autoencoder with a Gaussian decoder.

Source: Kingma, Welling 2014, Auto-Encoding Variational Bayes, sections 2 and 3.
Notation: data [pack, batch, features], mean, log_variance and latent [pack, batch, latent], sigma [pack, 1, features].
"""

from typing import final

import torch
from torch import Tensor

from models.decoder import GaussianDecoder, compared
from models.layers import MLP, Activation, Output
from models.model import Model, Shape
from models.noise import Noise


@final
class VAE(Model):
    """q(z|x) = N(mean(x), diag exp log_variance(x)), p(z) = N(0, I), p(x|z) = N(decode(z), diag sigma^2).

    Args:
        shape: columns of the data (its source isn't used: a VAE samples from its own prior).
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
        self.latent = (latent,)
        self.encoder = MLP(
            shape.features,
            2 * latent,
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

    def encode(self, data: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each `[pack, batch, latent]`; `noise` is given in training only."""
        # Interleaved, so that the padding of a smaller latent space stays behind both of its heads.
        mean, log_variance = self.encoder(data, noise).unflatten(2, (-1, 2)).unbind(3)
        return mean, log_variance

    def decode(self, latent: Tensor, noise: Noise | None = None) -> Tensor:
        """Mean of p(x|z), `[pack, batch, features]`; `noise` is given in training only."""
        mean: Tensor = self.decoder(latent, noise)
        return mean

    def log_scale(self) -> Tensor:
        """Logarithm of the decoder's sigma, `[pack, 1, features]`; it has a gradient only where it is learned."""
        return self.decoder.log_scale()

    def latent_noise(self, noise: Noise) -> Tensor:
        """Standard normal rows of the latent space, `[pack, noise.rows, latent]`."""
        return noise.normal("latent", self.latent)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`: decode(z) + sigma eps."""
        return self.decoder.draw(self.latent_noise(noise), noise)

    def architecture(self) -> list[dict[str, float]]:
        """`parameters`, those of encoder and decoder, and log2 of encoder over decoder, of each trial."""
        return compared(self.encoder, self.decoder)
