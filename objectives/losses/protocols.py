"""What an objective may ask of a model: small protocols that models meet structurally, without importing them.

Notation: pack = trials, batch = rows of a training step.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


class Noise(Protocol):
    """Random numbers of a pack; slice i depends on trial i's own seed alone."""

    rows: int

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        """Draw standard normal numbers `[pack, rows, max(widths)]`."""

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        """Draw uniform numbers on [0, 1), `[pack, rows, max(widths)]`."""


@runtime_checkable
class Pushforward(Protocol):
    """A map from a source distribution to the data's."""

    def draw(self, noise: Noise) -> Tensor:
        """Draw inputs `[pack, noise.rows, inputs]`."""

    def push(self, inputs: Tensor, noise: Noise | None = None) -> Tensor:
        """Return outputs `[pack, batch, features]`; with `noise` as in training."""


@runtime_checkable
class Decoder(Protocol):
    """A Gaussian decoder from a latent space to the data."""

    def decode(self, latent: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the mean `[pack, batch, features]`."""

    def log_scale(self) -> Tensor:
        """Return the logarithm of the decoder's standard deviation, `[pack, 1, features]`."""


@runtime_checkable
class Autoencoder(Decoder, Protocol):
    """An encoder to a Gaussian on the latent space and a Gaussian decoder back."""

    def encode(self, data: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance `[pack, batch, latent]`."""

    def latent_noise(self, noise: Noise) -> Tensor:
        """Draw standard normal rows of the latent space, `[pack, noise.rows, latent]`."""


@runtime_checkable
class DeterministicAutoencoder(Decoder, Protocol):
    """An encoder to a point of the latent space and a Gaussian decoder back."""

    def code(self, data: Tensor, noise: Noise | None = None) -> Tensor:
        """Return codes `[pack, batch, latent]`."""

    def fit_latent(self, codes: Tensor) -> None:
        """Fit the distribution of latent samples to `codes` `[pack, n, latent]`."""


@runtime_checkable
class ResampledAutoencoder(Decoder, Protocol):
    """An autoencoder whose prior accepts or rejects draws of N(0, I), the proposal."""

    def posterior(self, data: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance `[pack, batch, latent]`."""

    def latent_noise(self, noise: Noise) -> Tensor:
        """Draw rows of the proposal, `[pack, noise.rows, latent]`."""

    def acceptance(self, latent: Tensor) -> Tensor:
        """Return the probability `[pack, batch]` that a proposal is accepted."""

    def log_resampling(self, latent: Tensor, normalizer: Tensor | None = None) -> Tensor:
        """Return the log-ratio `[pack, batch]` of prior to proposal; Z `[pack, batch]` is as given, or else frozen."""

    def freeze(self, normalizer: Tensor) -> None:
        """Keep the normaliser Z `[pack, 1]`, the mean acceptance of a proposal."""


@runtime_checkable
class Denoiser(Protocol):
    """A network that tells a row from the row plus noise of a known size."""

    def denoise(self, noisy: Tensor, sigma: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the mean row of `noisy` `[pack, batch, features]`, row + `sigma` `[pack, batch, 1]` times N(0, I)."""


@runtime_checkable
class VectorField(Protocol):
    """A time-dependent vector field whose flow carries N(0, I) at time 0 to the data at time 1."""

    def velocity(self, x: Tensor, time: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the velocity at `x` `[pack, batch, features]` and `time` `[pack, batch, 1]`; `noise` in training."""


@runtime_checkable
class Density(Protocol):
    """A density with a closed-form (or library) fit, without gradient descent."""

    def fit(self, rows: Tensor, seed: int) -> None:
        """Fit a pack of one to `rows` `[1, n, features]`."""

    def log_density(self, rows: Tensor) -> Tensor:
        """Return the log-density `[pack, batch]` of each row."""


@runtime_checkable
class Flow(Protocol):
    """A density that is trained by the gradient of its likelihood."""

    def log_prob(self, rows: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the log-density `[pack, batch]` of each row `[pack, batch, features]`; `noise` in training."""
