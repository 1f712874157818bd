"""Variational autoencoder with a resampled prior: a learned function accepts or rejects draws of N(0, I).

Source: Bauer, Mnih 2019, Resampled Priors for Variational Autoencoders, section 3 (truncated rejection sampling).
Notation: latent z [pack, batch, latent], acceptance a(z) [pack, batch], truncation T and normaliser Z [pack, 1].
"""

from typing import final

import torch
from torch import Tensor

from models.layers import MLP, Activation, Output
from models.model import Model, Shape
from models.noise import Noise, hashed_seed
from models.vae import VAE


@final
class LarsVAE(Model):
    """VAE with prior p_T(z) = pi(z) [(1 - alpha) a(z) / Z + alpha], pi = N(0, I), alpha = (1 - Z)^(T - 1), Z = E_pi a.

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
        dropout: share of hidden units of encoder and decoder dropped in training.
        acceptance_width, acceptance_depth: hidden layers (tanh) of the acceptance function.
        truncation: proposals T, the last of which is always accepted.

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
        acceptance_width: int = 100,
        acceptance_depth: int = 2,
        truncation: int = 100,
    ) -> None:
        super().__init__()
        if truncation < 1:
            raise ValueError(f"truncation must be at least 1, got {truncation}")
        self.autoencoder = VAE(
            shape,
            seed,
            latent=latent,
            encoder_width=encoder_width,
            encoder_depth=encoder_depth,
            decoder_width=decoder_width,
            decoder_depth=decoder_depth,
            activation=activation,
            output=output,
            sigma=sigma,
            learn_sigma=learn_sigma,
            dropout=dropout,
        )
        self.acceptor = MLP(
            latent,
            1,
            width=acceptance_width,
            depth=acceptance_depth,
            activation="tanh",
            dropout=0.0,
            output="sigmoid",
            generator=torch.Generator().manual_seed(hashed_seed(seed, "acceptance")),
            name="acceptance",
        )
        self.proposals = (truncation,)
        self.truncation: Tensor
        self.normalizer: Tensor
        self.register_buffer("truncation", torch.full((1, 1), float(truncation)))
        self.register_buffer("normalizer", torch.ones(1, 1))  # until it is frozen

    def posterior(self, data: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each `[pack, batch, latent]`; `noise` is given in training only."""
        return self.autoencoder.encode(data, noise)

    def decode(self, latent: Tensor, noise: Noise | None = None) -> Tensor:
        """Mean of p(x|z), `[pack, batch, features]`; `noise` is given in training only."""
        return self.autoencoder.decode(latent, noise)

    def log_scale(self) -> Tensor:
        """Logarithm of the decoder's sigma, `[pack, 1, features]`; it has a gradient only where it is learned."""
        return self.autoencoder.log_scale()

    def latent_noise(self, noise: Noise) -> Tensor:
        """Rows of the proposal pi, `[pack, noise.rows, latent]`."""
        return self.autoencoder.latent_noise(noise)

    def acceptance(self, latent: Tensor) -> Tensor:
        """a(z), the chance that a proposal is accepted, `[pack, batch]`."""
        chance: Tensor = self.acceptor(latent).squeeze(2)
        return chance

    def log_resampling(self, latent: Tensor, normalizer: Tensor | None = None) -> Tensor:
        """log p_T(z) - log pi(z) `[pack, batch]`, with Z as given, `[pack, batch]`, or as frozen."""
        z = self.normalizer if normalizer is None else normalizer
        alpha = (1 - z) ** (self.truncation - 1)
        return ((1 - alpha) * self.acceptance(latent) / z + alpha).log()

    def freeze(self, normalizer: Tensor) -> None:
        """Keep Z `[pack, 1]` with the weights."""
        self.normalizer.copy_(normalizer)

    def prior(self, noise: Noise) -> Tensor:
        """Rows of p_T, `[pack, noise.rows, latent]`: the first proposal accepted, else the T-th."""
        latent = self.latent_noise(noise)
        waiting = self._rejected(latent, noise)
        for proposal in range(2, max(self.proposals) + 1):
            waiting &= proposal <= self.truncation
            if not noise.whole and not waiting.any():
                break
            proposed = self.latent_noise(noise)
            latent = torch.where(waiting.unsqueeze(2), proposed, latent)
            waiting &= self._rejected(proposed, noise)
        return latent

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`: decode(z) + sigma eps, z from the resampled prior."""
        return self.autoencoder.decoder.draw(self.prior(noise), noise)

    def architecture(self) -> list[dict[str, float]]:
        """What a VAE records, with `acceptance_parameters`, which `parameters` includes."""
        return [
            {**architecture, "parameters": architecture["parameters"] + count, "acceptance_parameters": count}
            for architecture, count in zip(
                self.autoencoder.architecture(), self.acceptor.parameter_counts(), strict=True
            )
        ]

    def _rejected(self, latent: Tensor, noise: Noise) -> Tensor:
        chance = noise.uniform("acceptance", [1] * len(latent)).squeeze(2)
        return chance >= self.acceptance(latent)
