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
class Autoencoder(Protocol):
    """An encoder to a Gaussian on the latent space and a Gaussian decoder back."""

    def encode(self, data: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `[pack, batch, latent]`."""

    def decode(self, latent: Tensor, noise: Noise | None = None) -> Tensor:
        """Mean `[pack, batch, features]`."""

    def log_scale(self) -> Tensor:
        """Logarithm of the decoder's standard deviation, `[pack, 1, features]`."""

    def latent_noise(self, noise: Noise) -> Tensor:
        """Standard normal rows of the latent space, `[pack, noise.rows, latent]`."""


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
