"""Gaussian decoder: how every autoencoder goes from the latent space to the data.

Source: Kingma, Welling 2014, Auto-Encoding Variational Bayes, appendix C.2; learned sigma as in Rybkin et al. 2021.
Notation: latent z [pack, batch, latent], mean [pack, batch, features], sigma [pack, 1, features].
"""

import math
from typing import cast, final

import torch
from torch import Tensor, nn

from models.layers import MLP, Activation, Output
from models.noise import Noise


@final
class GaussianDecoder(nn.Module):
    """p(x|z) = N(decoder(z), diag sigma^2).

    Args:
        latent, features: columns in and out.
        width, depth: units of a hidden layer, and the number of hidden layers.
        activation: of the hidden layers.
        dropout: share of hidden units dropped in training.
        output: "linear", or "sigmoid" for features in [0, 1].
        sigma: standard deviation in feature units, or its start where it is learned.
        learn_sigma: learn one sigma a column.
        generator: source of the initial weights.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        latent: int,
        features: int,
        *,
        width: int,
        depth: int,
        activation: Activation,
        dropout: float,
        output: Output,
        sigma: float,
        learn_sigma: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if not (sigma > 0 and math.isfinite(sigma)):
            raise ValueError(f"sigma must be above 0, got {sigma}")
        self.network = MLP(
            latent,
            features,
            width=width,
            depth=depth,
            activation=activation,
            dropout=dropout,
            output=output,
            generator=generator,
            name="decoder",
        )
        self.log_sigma = nn.Parameter(torch.full((1, 1, features), math.log(sigma)))
        self.learned: Tensor
        self.register_buffer("learned", torch.full((1, 1, 1), float(learn_sigma)))

    def forward(self, latent: Tensor, noise: Noise | None = None) -> Tensor:
        """Mean of p(x|z), `[pack, batch, features]`; `noise` is given in training only."""
        return cast(Tensor, self.network(latent, noise))

    def log_scale(self) -> Tensor:
        """Logarithm of sigma, `[pack, 1, features]`; it has a gradient only where it is learned."""
        return torch.where(self.learned > 0, self.log_sigma, self.log_sigma.detach())

    def draw(self, latent: Tensor, noise: Noise) -> Tensor:
        """Rows of p(x|z), decoder(z) + sigma eps: without eps a small latent space shows."""
        eps = noise.normal("decoder noise", [self.log_sigma.shape[2]] * len(latent))
        return cast(Tensor, self(latent)) + self.log_scale().exp() * eps


def compared(encoder: MLP, decoder: GaussianDecoder) -> list[dict[str, float]]:
    """`parameters`, those of encoder and decoder, and log2 of encoder over decoder, of each trial."""
    return [
        {
            "parameters": encoding + decoding,
            "encoder_parameters": encoding,
            "decoder_parameters": decoding,
            "log2_encoder_over_decoder": math.log2(encoding / decoding),
        }
        for encoding, decoding in zip(encoder.parameter_counts(), decoder.network.parameter_counts(), strict=True)
    ]
