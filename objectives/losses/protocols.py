"""What an objective may ask of a model: small protocols that models meet by shape, without importing them.

Notation: pack = trials, batch = rows of a training step.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


class Noise(Protocol):
    """Random numbers of a pack; slice i depends on trial i's own seed alone."""

    rows: int

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        """Standard normal `[pack, rows, max(widths)]`."""

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        """Uniform on [0, 1), `[pack, rows, max(widths)]`."""


@runtime_checkable
class Pushforward(Protocol):
    """A map from a source distribution to the data's."""

    def draw(self, noise: Noise) -> Tensor:
        """Inputs `[pack, noise.rows, inputs]`."""

    def push(self, inputs: Tensor, noise: Noise | None = None) -> Tensor:
        """Outputs `[pack, batch, features]`; with `noise` as in training."""


@runtime_checkable
class Decoder(Protocol):
    """A Gaussian decoder from a latent space to the data."""

    def decode(self, latent: Tensor, noise: Noise | None = None) -> Tensor:
        """Mean `[pack, batch, features]`."""

    def log_scale(self) -> Tensor:
        """Logarithm of the decoder's standard deviation, `[pack, 1, features]`."""


@runtime_checkable
class Autoencoder(Decoder, Protocol):
    """An encoder to a Gaussian on the latent space and a Gaussian decoder back."""

    def encode(self, data: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `[pack, batch, latent]`."""

    def latent_noise(self, noise: Noise) -> Tensor:
        """Standard normal rows of the latent space, `[pack, noise.rows, latent]`."""


@runtime_checkable
class DeterministicAutoencoder(Decoder, Protocol):
    """An encoder to a point of the latent space and a Gaussian decoder back."""

    def code(self, data: Tensor, noise: Noise | None = None) -> Tensor:
        """Codes `[pack, batch, latent]`."""

    def fit_latent(self, codes: Tensor) -> None:
        """Fit the distribution that latent rows are sampled from to `codes` `[pack, n, latent]`."""


@runtime_checkable
class ResampledAutoencoder(Decoder, Protocol):
    """An autoencoder whose prior accepts or rejects draws of N(0, I), the proposal."""

    def posterior(self, data: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `[pack, batch, latent]`."""

    def latent_noise(self, noise: Noise) -> Tensor:
        """Rows of the proposal, `[pack, noise.rows, latent]`."""

    def acceptance(self, latent: Tensor) -> Tensor:
        """Chance `[pack, batch]` that a proposal is accepted."""

    def log_resampling(self, latent: Tensor, normalizer: Tensor | None = None) -> Tensor:
        """Logarithm `[pack, batch]` of prior over proposal; Z `[pack, batch]` as given, or else as frozen."""

    def freeze(self, normalizer: Tensor) -> None:
        """Keep the normaliser Z `[pack, 1]`, the mean acceptance of a proposal."""


@runtime_checkable
class Denoiser(Protocol):
    """A network that predicts the noise in a noisy row (DDPM), on the model's own schedule of noise levels."""

    def noise_levels(self, time: Tensor) -> Tensor:
        """Share of the signal's variance left, alpha-bar in (0, 1), `[pack, batch, 1]`, at `time` in [0, 1]."""

    def denoise(self, noisy: Tensor, time: Tensor, noise: Noise | None = None) -> Tensor:
        """Predicted noise, of the shape of `noisy` `[pack, batch, features]`, at `time` `[pack, batch, 1]`."""


@runtime_checkable
class VectorField(Protocol):
    """A time-dependent vector field whose flow carries N(0, I) at time 0 to the data at time 1."""

    def velocity(self, x: Tensor, time: Tensor, noise: Noise | None = None) -> Tensor:
        """Velocity `[pack, batch, features]` at `x` and `time` `[pack, batch, 1]`; with `noise` as in training."""


@runtime_checkable
class Density(Protocol):
    """A density with a closed-form (or library) fit: nothing to descend."""

    def fit(self, rows: Tensor, seed: int) -> None:
        """Fit a pack of one to `rows` `[1, n, features]`."""

    def log_density(self, rows: Tensor) -> Tensor:
        """Log-density `[pack, batch]` of each row."""
